"""Why the service does nothing, in a sentence."""

from application.operating.service_status import ServiceState, ServiceStatus
from application.ports.statistics import QueueState
from domain.outcomes import Reason
from entrypoints.terminal.quantities import quantity
from entrypoints.terminal.times import in_words


def sentence(status: ServiceStatus) -> str:
    """Return what the service does, or why it does nothing and what to do about it."""
    queue, quiet = status.queue, status.quiet_seconds
    if queue is None:
        return "the queue cannot be seen"
    waiting = f"{quantity(queue.pending, 'job')} waiting and {queue.ack_pending:,} in hand"
    last = "" if quiet is None else f"the last job ended {in_words(quiet)} ago"
    if status.outcomes is None:
        ended = "and whether any ended cannot be seen"
    else:
        ended = "but none has ended yet" if quiet is None else f"but none has ended for {in_words(quiet)}"
    match status.state:
        case ServiceState.PAUSED:
            return "the consumer is paused on the broker: resume it there"
        case ServiceState.NOTHING_TO_DO:
            return _nothing_to_do(queue, last) + _malformed(status)
        case ServiceState.WORKING:
            return f"{waiting}; {last}"
        case ServiceState.UNCLEAR:
            return f"{waiting}, {ended}"
        case standstill:
            return f"{waiting}, {ended}: {_suspicion(standstill, queue)}"


def _nothing_to_do(queue: QueueState, last: str) -> str:
    if last:
        return f"nothing waits; {last}"
    return "nothing waits" if queue.ever_delivered else "no job was ever published"


def _malformed(status: ServiceStatus) -> str:
    """Return what follows where jobs came that nobody finds by their photo."""
    counts = () if status.outcomes is None else status.outcomes.counts
    jobs = sum(count.last_hour for count in counts if count.reason == Reason.MALFORMED_PAYLOAD)
    found = f"`facematch dead list --reason {Reason.MALFORMED_PAYLOAD}`"
    return f"; within the last hour {quantity(jobs, 'job')} ended as malformed: {found}" if jobs else ""


def _suspicion(standstill: ServiceState, queue: QueueState) -> str:
    match standstill:
        case ServiceState.NOBODY_ASKS:
            return "no worker asks for jobs; start one, or see with `facematch healthcheck --ready` why it takes none"
        case ServiceState.ABOUT_TO_WORK:
            return "workers ask for jobs and will be given them"
        case ServiceState.FULL:
            return f"the consumer lets no more than {queue.most_in_hand} be in hand"
        case _:
            return (
                "workers are held up by a dependency that is down (/readyz of each says which), or the jobs wait for "
                "another attempt, or their workers are gone and the jobs come back when their time has run out"
            )
