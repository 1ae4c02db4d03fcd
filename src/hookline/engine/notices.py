"""Notices as they are committed: one wide line of the log each, for those who watch that and nothing else."""

import logging

from hookline.ports.storage import News

_log = logging.getLogger("hookline.notices")


def tell(news: News) -> None:
    """Log what owners have to be told."""
    for notice in news.notices:
        _log.warning(
            "notice.%s webhook=%s notice=%s message=%r", notice.kind, notice.webhook_id, notice.id, notice.message
        )
