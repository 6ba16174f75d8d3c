"""What ``facematch COMMAND --help`` says below the options: environment, exit status, examples, and where to go on."""

from typing import Final

import attrs

from entrypoints.terminal import interruption

_DATABASE: Final = ("FACEMATCH_DATABASE_URL",)
_NATS: Final = ("FACEMATCH_NATS_URL",)
_S3: Final = ("FACEMATCH_S3_ENDPOINT", "FACEMATCH_S3_ACCESS_KEY", "FACEMATCH_S3_SECRET_KEY", "FACEMATCH_S3_BUCKET")
_EMBEDDER: Final = ("FACEMATCH_EMBEDDER", "FACEMATCH_EMBEDDER_FILE")
_QUALITY: Final = ("FACEMATCH_MATCH_MIN_FACE_PIXELS", "FACEMATCH_MATCH_MIN_SCORE", "FACEMATCH_MATCH_MIN_SHARPNESS")
_ENDED: Final = "The work is done."
_USAGE: Final = "Wrong usage, or wrong settings."
_INTERRUPTED: Final = "interrupted"
_AGAIN: Final = "interrupted; run it again for what is left"
_RESUMED: Final = "interrupted; what --resume keeps is not read again"


@attrs.frozen
class Manual:
    """The rest of a command's help page.

    ``examples`` are pairs of a purpose and a command line; ``failed`` says when the exit status is 1, None where it
    never is; ``ended`` and ``usage`` say the same of 0 and 2. ``interrupted`` is said after Ctrl-C, None where that is
    how it ends. ``see`` names other commands.
    """

    examples: tuple[tuple[str, str], ...]
    failed: str | None = None
    environment: tuple[str, ...] = ()
    see: tuple[str, ...] = ()
    ended: str = _ENDED
    usage: str = _USAGE
    interrupted: str | None = _INTERRUPTED

    @property
    def exit_status(self) -> tuple[tuple[str, str], ...]:
        """Rows of number and meaning."""
        cut_off = f"{self.interrupted.capitalize()}." if self.interrupted else None
        rows = ("0", self.ended), ("1", self.failed), ("2", self.usage), (str(interruption.EXIT_CODE), cut_off)
        return tuple((number, meaning) for number, meaning in rows if meaning)


MANUALS: Final = {
    "worker": Manual(
        interrupted=None,
        failed="The database is not migrated, or its role may not do enough.",
        usage="Wrong usage or settings; or the vectors do not fit the database, or the health address is taken.",
        ended="A signal ended it, and what it had in hand is finished or given back.",
        environment=(*_NATS, *_DATABASE, *_S3, *_EMBEDDER, "FACEMATCH_HEALTH_ADDRESS", "FACEMATCH_WORKER_PROCESSES"),
        examples=(
            ("One worker", "facematch worker"),
            ("A second one on the same host", "FACEMATCH_HEALTH_ADDRESS=127.0.0.1:8081 facematch worker"),
        ),
        see=("doctor", "healthcheck", "status"),
    ),
    "migrate": Manual(
        interrupted=_AGAIN,
        failed="The database refused; the SQL that its owner has to run is on standard output.",
        environment=(*_DATABASE,),
        examples=(
            ("Bring the database up to date", "facematch migrate"),
            ("And let another role be the worker", "facematch migrate --grant-to facematch_worker"),
            ("Review the SQL first", "facematch migrate --grant-to facematch_worker --dry-run"),
        ),
        see=("provision", "doctor", "index"),
    ),
    "provision": Manual(
        interrupted=_AGAIN,
        failed="NATS does not answer or refuses, or something of somebody else's is in the way.",
        environment=(*_NATS, "FACEMATCH_NATS_REPLICAS", "FACEMATCH_NATS_ACK_WAIT"),
        examples=(
            ("Make streams and consumer", "facematch provision"),
            ("On a cluster of three servers", "FACEMATCH_NATS_REPLICAS=3 facematch provision"),
            ("For the team that runs NATS", "facematch provision --print-config"),
        ),
        see=("migrate", "doctor"),
    ),
    "doctor": Manual(
        failed="A check failed; warnings do not count.",
        ended="No check failed.",
        environment=(*_NATS, *_DATABASE, *_S3, *_EMBEDDER),
        examples=(
            ("Before the first worker starts", "facematch doctor"),
            ("For machines", "facematch doctor --json"),
        ),
        see=("status", "migrate", "provision"),
    ),
    "healthcheck": Manual(
        failed="The worker is not well, or nobody answers.",
        ended="The worker is well.",
        usage="Wrong usage, or wrong settings of the worker.",
        environment=("FACEMATCH_HEALTH_ADDRESS",),
        examples=(
            ("Whether it lives", "facematch healthcheck"),
            ("Whether it takes jobs", "facematch healthcheck --ready"),
        ),
        see=("worker", "status"),
    ),
    "enroll": Manual(
        interrupted=_AGAIN,
        failed="Nothing was written: no such user, no single face on an image, too few rights; with --from: of some.",
        environment=(*_DATABASE, *_S3, *_EMBEDDER, "FACEMATCH_WORKER_PROCESSES"),
        examples=(
            (
                "From two files",
                "facematch enroll $USER_ID portrait.jpg another-day.jpg",
            ),
            (
                "From the object store",
                "facematch enroll $USER_ID minio://images/people/ada.jpg",
            ),
            ("Everybody on a list", "facematch enroll --from portraits.csv"),
        ),
        see=("inspect", "backfill", "reenroll prepare"),
    ),
    "reenroll prepare": Manual(
        interrupted=_AGAIN,
        failed="Some users could not be prepared, each with the reason; or a server does not answer.",
        ended="Everybody who needs a template of that embedder has one ready.",
        usage="Wrong usage or settings; or the list is none, or the vectors do not fit the database.",
        environment=(*_DATABASE, *_S3, *_EMBEDDER, "FACEMATCH_WORKER_PROCESSES"),
        examples=(
            ("Beside workers that use another embedder", "FACEMATCH_EMBEDDER=mediapipe facematch reenroll prepare"),
            (
                "With photographs that only the application knows",
                "FACEMATCH_EMBEDDER=mediapipe facematch reenroll prepare --from portraits.csv",
            ),
        ),
        see=("reenroll switch", "reenroll discard", "embedders", "enroll"),
    ),
    "reenroll switch": Manual(
        interrupted=_AGAIN,
        failed="Somebody would be left behind; or the database does not answer or refuses.",
        ended="Every prepared template has taken its place.",
        usage="Wrong usage or settings; or the vectors do not fit the database.",
        environment=(*_DATABASE, *_EMBEDDER),
        examples=(
            (
                "When everybody is prepared",
                "FACEMATCH_EMBEDDER=mediapipe facematch reenroll switch",
            ),
        ),
        see=("reenroll prepare", "index", "worker"),
    ),
    "reenroll discard": Manual(
        interrupted=_AGAIN,
        failed="The database does not answer or refuses.",
        environment=_DATABASE,
        examples=(("When nothing is to change after all", "facematch reenroll discard"),),
        see=("reenroll prepare",),
    ),
    "forget": Manual(
        interrupted="interrupted; run it again",
        failed="The database does not answer or refuses, or its role may not do enough; nothing is half deleted.",
        ended="Nothing of the user is left in the tables, except what is listed.",
        environment=_DATABASE,
        examples=(
            ("What would be deleted, and what may be the user's", "facematch forget $USER_ID --dry-run --nearest 50"),
            ("With a photo of the user that has no match", "facematch forget $USER_ID --photo $PHOTO_ID"),
            ("From a script", "facematch forget $USER_ID --nearest 0 --json"),
        ),
        see=("show", "dead purge", "migrate"),
    ),
    "submit": Manual(
        failed="NATS does not answer or refuses.",
        environment=(*_NATS, "FACEMATCH_NATS_SUBJECT"),
        examples=(
            (
                "One job",
                "facematch submit $PHOTO_ID minio://images/2026/11/a1b2.jpg",
            ),
        ),
        see=("show", "status"),
    ),
    "show": Manual(
        failed="No job for that photo has ended; or the image cannot be had, after the records.",
        environment=(*_DATABASE, *_NATS, *_S3),
        examples=(
            ("Why it was not matched", "facematch show $PHOTO_ID"),
            (
                "With the photo and the face's box",
                "facematch show --image why.png $PHOTO_ID",
            ),
        ),
        see=("submit", "status", "dead show"),
    ),
    "status": Manual(
        failed="Something could not be seen; everything else is shown.",
        ended="Everything could be seen, also if nothing is done.",
        environment=(*_NATS, *_DATABASE),
        examples=(
            ("At a glance", "facematch status"),
            ("A live page", "facematch status --watch --interval 5"),
            ("For machines", "facematch status --json"),
        ),
        see=("show", "dead list", "doctor"),
    ),
    "dead list": Manual(
        failed="NATS does not answer or refuses.",
        environment=(*_NATS, "FACEMATCH_NATS_DEAD_STREAM"),
        examples=(
            ("The newest hundred", "facematch dead list"),
            (
                "What died of the object store within two hours",
                "facematch dead list --reason storage_unavailable --since 2h",
            ),
        ),
        see=("dead show", "dead replay", "dead purge"),
    ),
    "dead show": Manual(
        failed="There is no letter of that number, or NATS does not answer.",
        environment=(*_NATS, "FACEMATCH_NATS_DEAD_STREAM"),
        examples=(("Everything of one letter", "facematch dead show 17"),),
        see=("dead list", "dead replay"),
    ),
    "dead replay": Manual(
        interrupted=_AGAIN,
        failed="NATS does not answer, or a letter that was named is not there or was left.",
        environment=(*_NATS, "FACEMATCH_NATS_DEAD_STREAM"),
        examples=(
            ("What would be sent", "facematch dead replay --dry-run"),
            ("After an outage of the object store", "facematch dead replay --reason storage_unavailable"),
            ("Two of them", "facematch dead replay 17 18"),
        ),
        see=("dead list", "dead purge", "reconcile"),
    ),
    "dead purge": Manual(
        interrupted=_AGAIN,
        failed="Declined; or NATS does not answer, or a letter that was named is not there.",
        usage="Wrong usage or settings; or nobody can be asked, and there is neither --yes nor --dry-run.",
        environment=(*_NATS, "FACEMATCH_NATS_DEAD_STREAM"),
        examples=(
            ("Ask, then delete", "facematch dead purge --reason malformed_payload"),
            ("From a script", "facematch dead purge --until 30d --yes"),
        ),
        see=("dead list", "dead replay"),
    ),
    "reconcile": Manual(
        interrupted=_AGAIN,
        failed="A server does not answer or refuses; what was published stays, and another run does the rest.",
        usage="Wrong usage or settings; or the template does not fit the table.",
        environment=(*_DATABASE, *_NATS),
        examples=(
            ("How many are missing", "facematch reconcile --dry-run"),
            (
                "Where the table has no references",
                "facematch reconcile --image-ref 'minio://images/{id}.jpg'",
            ),
        ),
        see=("backfill", "status", "dead replay"),
    ),
    "backfill": Manual(
        interrupted="interrupted; what was published stays, and it is told how to go on",
        failed="The stream is full, or a server does not answer; what was published stays.",
        usage="Wrong usage or settings; or the template does not fit the table.",
        environment=(*_DATABASE, *_NATS),
        examples=(
            ("How many it would be", "facematch backfill --dry-run"),
            ("After people were enrolled", "facematch backfill --reason no_match --rate 20"),
        ),
        see=("reconcile", "status"),
    ),
    "index": Manual(
        interrupted=_AGAIN,
        failed="The database refuses, somebody keeps rows locked, or with --check something differs.",
        environment=(*_DATABASE,),
        examples=(
            ("Make it, or bring it in step", "facematch index"),
            ("Compare only", "facematch index --check"),
        ),
        see=("migrate", "doctor"),
    ),
    "embedders": Manual(
        ended="The embedders that can be used are listed.",
        environment=(*_EMBEDDER, "FACEMATCH_MATCH_TARGET_FPIR"),
        examples=(
            ("What is there, on which terms", "facematch embedders"),
            ("With weights and digests, for machines", "facematch embedders --json"),
        ),
        see=("inspect", "evaluate"),
    ),
    "inspect": Manual(
        failed="At least one file could not be read; the others are printed nevertheless.",
        environment=(*_EMBEDDER, "FACEMATCH_MATCH_MIN_FACE_PIXELS"),
        examples=(
            ("What is seen", "facematch inspect portrait.jpg group.jpg"),
            ("For machines", "facematch inspect --json portrait.jpg"),
        ),
        see=("embedders", "enroll"),
    ),
    "evaluate": Manual(
        interrupted=_RESUMED,
        failed="The folder cannot be measured, or groups.csv is wrong.",
        usage="Wrong usage or settings; or no report can be written there, which is told before anything is read.",
        environment=(*_EMBEDDER, *_QUALITY, "FACEMATCH_MATCH_TARGET_FPIR", "FACEMATCH_MATCH_CALIBRATION"),
        examples=(
            ("A table", "facematch evaluate people/"),
            ("A report with plots", "facematch evaluate --html report.html people/"),
        ),
        see=("calibrate", "inspect"),
    ),
    "calibrate": Manual(
        interrupted=_RESUMED,
        failed="Fewer than twenty people have a usable photograph, or the file cannot be written.",
        usage="Wrong usage or settings; or no file can be written there, which is told before anything is read.",
        environment=(*_EMBEDDER, *_QUALITY, "FACEMATCH_MATCH_TARGET_FPIR", "FACEMATCH_MATCH_CALIBRATION"),
        examples=(("Measure and write", "facematch calibrate --output calibration.json people/"),),
        see=("evaluate", "worker"),
    ),
    "demo": Manual(
        failed="Something did not end as it must.",
        ended="Every job ended as it must.",
        environment=(*_EMBEDDER,),
        examples=(
            ("With portraits that are free to use", "facematch demo"),
            ("With photographs of your own", "facematch demo --photos people/"),
        ),
        see=("worker", "show"),
    ),
    "completion": Manual(
        ended="The script is on standard output.",
        examples=(
            ("Bash; let ~/.bashrc source the file", "facematch completion bash > ~/.facematch-completion.bash"),
            ("Zsh; into a folder of $fpath", "facematch completion zsh > ~/.zfunc/_facematch"),
            ("Fish", "facematch completion fish > ~/.config/fish/completions/facematch.fish"),
        ),
    ),
}
"""The help page of each command."""
