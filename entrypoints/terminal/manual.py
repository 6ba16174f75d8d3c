"""What ``facematch COMMAND --help`` says below the options: environment, exit status, examples, and where to go on."""

from typing import Final

import attrs

from entrypoints.terminal import interruption

_DATABASE: Final = ("FACEMATCH_DATABASE_URL",)
_NATS: Final = ("FACEMATCH_NATS_URL",)
_S3: Final = ("FACEMATCH_S3_ENDPOINT", "FACEMATCH_S3_ACCESS_KEY", "FACEMATCH_S3_SECRET_KEY", "FACEMATCH_S3_BUCKET")
_EMBEDDER: Final = ("FACEMATCH_EMBEDDER", "FACEMATCH_EMBEDDER_FILE")
_QUALITY: Final = ("FACEMATCH_MATCH_MIN_FACE_PIXELS", "FACEMATCH_MATCH_MIN_SCORE", "FACEMATCH_MATCH_MIN_SHARPNESS")
_ENDED: Final = "Success."
_USAGE: Final = "Wrong usage or settings."
_INTERRUPTED: Final = "interrupted"
_AGAIN: Final = "interrupted; run it again to do the rest"
_RESUMED: Final = "interrupted; the next run reuses what --resume has kept"


@attrs.frozen
class Manual:
    """The rest of a command's help page.

    ``examples`` are pairs of a purpose and a command line. ``failed`` says when the exit status is 1, None if it never
    is; ``ended`` and ``usage`` say the same of 0 and 2. ``interrupted`` is printed after Ctrl-C, None if that is the
    usual end. ``see`` names other commands.
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
        failed="The database is not migrated, or its role lacks rights.",
        usage="Wrong usage or settings; vectors that do not fit the database; a health address in use.",
        ended="A signal stopped it; its jobs are finished or given back.",
        environment=(*_NATS, *_DATABASE, *_S3, *_EMBEDDER, "FACEMATCH_HEALTH_ADDRESS", "FACEMATCH_WORKER_PROCESSES"),
        examples=(
            ("One worker", "facematch worker"),
            ("A second one on the same host", "FACEMATCH_HEALTH_ADDRESS=127.0.0.1:8081 facematch worker"),
        ),
        see=("doctor", "healthcheck", "status"),
    ),
    "migrate": Manual(
        interrupted=_AGAIN,
        failed="The database refused. The SQL for its owner to run is on standard output.",
        environment=(*_DATABASE,),
        examples=(
            ("Bring the database up to date", "facematch migrate"),
            ("Also give the worker's role its rights", "facematch migrate --grant-to facematch_worker"),
            ("Review the SQL first", "facematch migrate --grant-to facematch_worker --dry-run"),
        ),
        see=("provision", "doctor", "index"),
    ),
    "provision": Manual(
        interrupted=_AGAIN,
        failed="NATS does not answer or refuses, or a stream or consumer of another application is in the way.",
        environment=(*_NATS, "FACEMATCH_NATS_REPLICAS", "FACEMATCH_NATS_ACK_WAIT"),
        examples=(
            ("Create streams and consumer", "facematch provision"),
            ("On a cluster of three servers", "FACEMATCH_NATS_REPLICAS=3 facematch provision"),
            ("For the team that runs NATS", "facematch provision --print-config"),
        ),
        see=("migrate", "doctor"),
    ),
    "doctor": Manual(
        failed="A check failed. Warnings do not count.",
        ended="No check failed.",
        environment=(*_NATS, *_DATABASE, *_S3, *_EMBEDDER),
        examples=(
            ("Before the first worker starts", "facematch doctor"),
            ("For machines", "facematch doctor --json"),
        ),
        see=("status", "migrate", "provision"),
    ),
    "healthcheck": Manual(
        failed="The worker is not alive (or not ready), or nothing answers.",
        ended="The worker is alive or, with --ready, ready.",
        usage="Wrong usage, or wrong settings of the worker; others are not read.",
        environment=("FACEMATCH_HEALTH_ADDRESS",),
        examples=(
            ("Is it alive?", "facematch healthcheck"),
            ("Does it take jobs?", "facematch healthcheck --ready"),
        ),
        see=("worker", "status"),
    ),
    "enroll": Manual(
        interrupted=_AGAIN,
        failed="Nothing was written: unknown user, an image without exactly one usable face, missing rights, or, with "
        "--strict, a warning. With --from: some users were not enrolled.",
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
            ("All users on a list", "facematch enroll --from portraits.csv"),
            ("Only those whom nothing speaks against", "facematch enroll --from portraits.csv --strict"),
        ),
        see=("inspect", "backfill", "reenroll prepare"),
    ),
    "reenroll prepare": Manual(
        interrupted=_AGAIN,
        failed="Some users could not be prepared, or a server does not answer.",
        ended="Every user who needs a template of this embedder has one prepared.",
        usage="Wrong usage or settings, a wrong list, or vectors that do not fit the database.",
        environment=(*_DATABASE, *_S3, *_EMBEDDER, "FACEMATCH_WORKER_PROCESSES"),
        examples=(
            ("While workers use another embedder", "FACEMATCH_EMBEDDER=mediapipe facematch reenroll prepare"),
            (
                "With a list of photographs from the application",
                "FACEMATCH_EMBEDDER=mediapipe facematch reenroll prepare --from portraits.csv",
            ),
        ),
        see=("reenroll switch", "reenroll discard", "embedders", "enroll"),
    ),
    "reenroll switch": Manual(
        interrupted=_AGAIN,
        failed="Some users would have no new template, or the database does not answer or refuses.",
        ended="Every prepared template is in use.",
        usage="Wrong usage or settings, or vectors that do not fit the database.",
        environment=(*_DATABASE, *_EMBEDDER),
        examples=(
            (
                "When all users are prepared",
                "FACEMATCH_EMBEDDER=mediapipe facematch reenroll switch",
            ),
        ),
        see=("reenroll prepare", "index", "worker"),
    ),
    "reenroll discard": Manual(
        interrupted=_AGAIN,
        failed="The database does not answer or refuses, or a switch is half done.",
        environment=_DATABASE,
        examples=(("When the old embedder stays after all", "facematch reenroll discard"),),
        see=("reenroll prepare",),
    ),
    "forget": Manual(
        interrupted="interrupted; run it again",
        failed="The database does not answer or refuses, or the role lacks rights. Nothing is half deleted.",
        ended="Nothing of the user is left in the tables except what is listed.",
        environment=_DATABASE,
        examples=(
            (
                "See what would be deleted, and which other faces may be the user's",
                "facematch forget $USER_ID --dry-run --nearest 50",
            ),
            ("Include a photo of the user that has no match", "facematch forget $USER_ID --photo $PHOTO_ID"),
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
        failed="No job for that photo has ended; or, after the records, the image is not available.",
        environment=(*_DATABASE, *_NATS, *_S3),
        examples=(
            ("Why it was not matched", "facematch show $PHOTO_ID"),
            (
                "Write the photo with the face's box",
                "facematch show --image why.png $PHOTO_ID",
            ),
        ),
        see=("submit", "status", "dead show"),
    ),
    "status": Manual(
        failed="Something could not be read; the rest is shown.",
        ended="Everything could be read, whether or not jobs are processed.",
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
                "Failures of the object store in the last two hours",
                "facematch dead list --reason storage_unavailable --since 2h",
            ),
        ),
        see=("dead show", "dead replay", "dead purge"),
    ),
    "dead show": Manual(
        failed="There is no dead letter with that number, or NATS does not answer.",
        environment=(*_NATS, "FACEMATCH_NATS_DEAD_STREAM"),
        examples=(("All about one dead letter", "facematch dead show 17"),),
        see=("dead list", "dead replay"),
    ),
    "dead replay": Manual(
        interrupted=_AGAIN,
        failed="NATS does not answer, or a dead letter given by number is missing or was not sent.",
        environment=(*_NATS, "FACEMATCH_NATS_DEAD_STREAM"),
        examples=(
            ("See what would be sent", "facematch dead replay --dry-run"),
            ("After an outage of the object store", "facematch dead replay --reason storage_unavailable"),
            ("Two of them", "facematch dead replay 17 18"),
        ),
        see=("dead list", "dead purge", "reconcile"),
    ),
    "dead purge": Manual(
        interrupted=_AGAIN,
        failed="You declined, NATS does not answer, or a dead letter given by number is missing.",
        usage="Wrong usage or settings; or, without a terminal, neither --yes nor --dry-run.",
        environment=(*_NATS, "FACEMATCH_NATS_DEAD_STREAM"),
        examples=(
            ("Ask, then delete", "facematch dead purge --reason malformed_payload"),
            ("From a script", "facematch dead purge --until 30d --yes"),
        ),
        see=("dead list", "dead replay"),
    ),
    "reconcile": Manual(
        interrupted=_AGAIN,
        failed="A server does not answer or refuses. Published jobs stay; another run does the rest.",
        usage="Wrong usage or settings, or a template that does not fit the table.",
        environment=(*_DATABASE, *_NATS),
        examples=(
            ("See how many are missing", "facematch reconcile --dry-run"),
            (
                "If the table has no column with references",
                "facematch reconcile --image-ref 'minio://images/{id}.jpg'",
            ),
        ),
        see=("backfill", "status", "dead replay"),
    ),
    "backfill": Manual(
        interrupted="interrupted; published jobs stay, and the command that continues is printed",
        failed="The stream is full, or a server does not answer or refuses. Published jobs stay.",
        usage="Wrong usage or settings, or a template that does not fit the table.",
        environment=(*_DATABASE, *_NATS),
        examples=(
            ("See how many it would be", "facematch backfill --dry-run"),
            ("After people were enrolled", "facematch backfill --reason no_match --rate 20"),
        ),
        see=("reconcile", "status"),
    ),
    "index": Manual(
        interrupted=_AGAIN,
        failed="The database refuses, rows stay locked, or the index differs from `users`, is damaged or "
        "overlooks too many.",
        environment=(*_DATABASE,),
        examples=(
            ("Build or update it", "facematch index"),
            ("Compare and measure only", "facematch index --check"),
        ),
        see=("migrate", "doctor"),
    ),
    "embedders": Manual(
        ended="The usable embedders are listed.",
        environment=(*_EMBEDDER, "FACEMATCH_MATCH_TARGET_FPIR"),
        examples=(
            ("See what is available under which licence", "facematch embedders"),
            ("With weights and digests, for machines", "facematch embedders --json"),
        ),
        see=("inspect", "evaluate"),
    ),
    "inspect": Manual(
        failed="At least one file could not be read; the others are printed.",
        environment=(*_EMBEDDER, "FACEMATCH_MATCH_MIN_FACE_PIXELS", "FACEMATCH_WORKER_PROCESSES"),
        examples=(
            ("See the faces on two files", "facematch inspect portrait.jpg group.jpg"),
            ("For machines", "facematch inspect --json portrait.jpg"),
        ),
        see=("embedders", "enroll"),
    ),
    "evaluate": Manual(
        interrupted=_RESUMED,
        failed="The folder cannot be measured, or groups.csv is wrong.",
        usage="Wrong usage or settings, or a report that cannot be written there (checked first).",
        environment=(
            *_EMBEDDER,
            *_QUALITY,
            "FACEMATCH_MATCH_TARGET_FPIR",
            "FACEMATCH_MATCH_MAX_DISTANCE",
            "FACEMATCH_MATCH_MARGIN",
            "FACEMATCH_MATCH_CALIBRATION",
        ),
        examples=(
            ("A table", "facematch evaluate people/"),
            ("A report with plots", "facematch evaluate --html report.html people/"),
        ),
        see=("calibrate", "inspect"),
    ),
    "calibrate": Manual(
        interrupted=_RESUMED,
        failed="Fewer than twenty people have a usable photograph, or the file cannot be written.",
        usage="Wrong usage or settings, or a file that cannot be written there (checked first).",
        environment=(*_EMBEDDER, *_QUALITY, "FACEMATCH_MATCH_TARGET_FPIR", "FACEMATCH_MATCH_CALIBRATION"),
        examples=(("Measure and write", "facematch calibrate --output calibration.json people/"),),
        see=("evaluate", "worker"),
    ),
    "demo": Manual(
        failed="A job did not end as expected.",
        ended="Every job ended as expected.",
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
