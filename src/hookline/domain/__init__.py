"""What is true, whoever asks: pure values and rules; instants and dice are arguments."""
