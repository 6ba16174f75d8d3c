"""The container that enrols users, one, many, or all of them anew."""

from dependency_injector import providers

from adapters.postgres.gallery.enrolment import PostgresEnrolment
from application.enrolment.enroll import CompareWithOthers, Enroll
from application.enrolment.enroll_list import EnrollList
from application.enrolment.reenroll_users import ReenrollUsers
from application.enrolment.switch_users import SwitchUsers
from application.enrolment.template import MakeTemplate
from entrypoints.composition.gallery import GalleryContainer
from entrypoints.composition.objects import ObjectsContainer


class EnrolmentContainer(GalleryContainer, ObjectsContainer):
    """What makes templates, and whatever writes them."""

    settings = GalleryContainer.settings
    factory = GalleryContainer.factory
    reenrolment = GalleryContainer.reenrolment

    enrolment = providers.Singleton(PostgresEnrolment, GalleryContainer.database)
    make_template = providers.Factory(
        MakeTemplate,
        reader=GalleryContainer.face_reader,
        quality=GalleryContainer.quality,
        calibration=GalleryContainer.calibration,
    )
    enroll = providers.Singleton(
        Enroll,
        make_template=make_template,
        enrolment=enrolment,
        compare=providers.Factory(CompareWithOthers, enrolment=enrolment, threshold=GalleryContainer.threshold),
    )
    enroll_list = providers.Singleton(
        EnrollList,
        model=factory.provided.info.id,
        enroll=enroll,
        enrolment=enrolment,
        concurrency=settings.provided.worker.jobs_in_hand,
    )
    reenroll_users = providers.Singleton(
        ReenrollUsers,
        model=factory.provided.info.id,
        make_template=make_template,
        reenrolment=reenrolment,
        concurrency=settings.provided.worker.jobs_in_hand,
    )
    switch_users = providers.Singleton(
        SwitchUsers, model=factory.provided.info.id, reenrolment=reenrolment, clock=GalleryContainer.clock
    )
