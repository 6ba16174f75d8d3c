"""The names of streams, subjects and the consumer."""

import attrs

from domain.outcomes import OutcomeKind


@attrs.frozen
class BrokerNames:
    """What things are called on the broker; the subjects of results and dead letters do not follow that of jobs."""

    stream: str = "PHOTO_FACES"
    subject: str = "photo_faces.single.requested"
    durable: str = "single-face-match"
    results_stream: str = "PHOTO_FACES_RESULTS"
    dead_stream: str = "PHOTO_FACES_DEAD"
    results_prefix: str = "photo_faces.single"

    def result_subject(self, kind: OutcomeKind) -> str:
        """Return the subject of an outcome's event."""
        return f"{self.results_prefix}.{kind.value}"

    @property
    def result_subjects(self) -> list[str]:
        """Return the subjects of every kind of event."""
        return [self.result_subject(kind) for kind in OutcomeKind]

    @property
    def dead_subject(self) -> str:
        """Return the subject of dead letters."""
        return f"{self.results_prefix}.dead"
