"""What a worker meets every day: a gallery of users, by default 1,000, and real photographs of some of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from adapters.vision import registry
from application.ports.face_pipeline import Embed, FacePipeline, ImageBudget
from application.ports.search_index import EXACT_BELOW
from tests.benchmarks import large_gallery
from tests.benchmarks.photographs import Sample, mix
from tests.benchmarks.site import Site, Template, open_site

EMBEDDER = "dlib"
"""The default."""
USERS = 1_000


@attrs.frozen
class Everyday:
    """The installation, and the photographs with their keys in the store."""

    site: Site
    photographs: list[bytes]
    keys: list[str]


@asynccontextmanager
async def everyday(users: int = USERS) -> AsyncIterator[Everyday]:
    """Run it until the block ends; every photograph shows somebody who is enrolled beside so many other users.

    Where they are so many that an index is advised, there is one.
    """
    photographs = mix()
    pipeline = registry.load(EMBEDDER)(ImageBudget())
    portraits = {sample.name: sample for sample in photographs if sample.megapixels == 1}
    enrolled = [_template(pipeline, sample) for sample in portraits.values()]
    is_large = users >= EXACT_BELOW
    async with open_site(large=is_large) as site:
        site.enrol(enrolled)
        parts = range(large_gallery.parts_of(users))
        url = site.world.environment["FACEMATCH_DATABASE_URL"]
        large_gallery.enrol(url, pipeline.info.id, pipeline.info.dimension, parts)
        if is_large:
            site.world.cli("index")
        stored = {
            (sample.name, sample.megapixels): site.world.put(f"{sample.name}-{sample.megapixels:g}.jpg", sample.content)
            for sample in dict.fromkeys(photographs)
        }
        keys = [stored[sample.name, sample.megapixels] for sample in photographs]
        yield Everyday(site, [sample.content for sample in photographs], keys)


def _template(pipeline: FacePipeline, sample: Sample) -> Template:
    [face] = pipeline.read(sample.content, embed=Embed.ONLY_FACE).faces
    if face.embedding is None:
        raise AssertionError("the only face comes with its embedding")
    return Template(face.embedding.model, face.embedding.vector)
