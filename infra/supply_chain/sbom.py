"""The bill of materials, in the form of CycloneDX 1.6."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from application.ports.face_pipeline import Weights
from infra.supply_chain.licences import Policy
from infra.supply_chain.parts import PRODUCT, Package


def bill_of_materials(packages: Sequence[Package], weights: Mapping[Weights, Sequence[str]], policy: Policy) -> str:
    """Return the JSON document: the product, the packages that run with what they need, and the weights.

    A package's hashes are those of all its files that the lock allows, one of which is installed.
    """
    product = Component(
        name=PRODUCT,
        version=version(PRODUCT),
        type=ComponentType.APPLICATION,
        bom_ref=PRODUCT,
        licenses=[LicenseExpression("MIT")],
    )
    components = {
        package.name: Component(
            name=package.name,
            version=package.version,
            bom_ref=package.name,
            purl=PackageURL("pypi", None, package.name, package.version),
            licenses=[LicenseExpression(said)] if (said := policy.licence_of(package.name)) else (),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in package.sha256],
        )
        for package in packages
    }
    models = [
        Component(
            name=one.name,
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=one.name,
            description=f"Weights, from {one.origin}",
            licenses=[LicenseExpression(one.licence)],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one.sha256)] if one.sha256 else (),
            properties=[Property(name=f"{PRODUCT}:embedder", value=embedder) for embedder in embedders],
        )
        for one, embedders in weights.items()
    ]
    bom = Bom(components=[*components.values(), *models])
    bom.metadata.component = product
    needed = {name for package in packages for name in package.needs}
    bom.register_dependency(product, [*(one for name, one in components.items() if name not in needed), *models])
    for package in packages:
        bom.register_dependency(components[package.name], [components[name] for name in package.needs])
    return str(JsonV1Dot6(bom).output_as_string(indent=2))
