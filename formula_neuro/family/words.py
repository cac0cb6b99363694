"""The family that a text names: `"binomial(probit)"`, `"quasi(link = 'log', variance = 'mu^2')"`."""

from __future__ import annotations

import re

from ..nearest import nearest
from .base import Family
from .continuous import Gamma, Gaussian, InverseGaussian
from .discrete import Binomial, Poisson
from .foci import FociFamily
from .links import LINKS
from .negative_binomial import NBinom2
from .overdispersed import Beta, BetaBinomial, NBinom1
from .quasi import Quasi, QuasiBinomial, QuasiPoisson

FAMILIES: dict[str, type[Family]] = {
    cls.name: cls
    for cls in (
        Gaussian, Binomial, Poisson, Gamma, InverseGaussian, QuasiBinomial, QuasiPoisson, Quasi, NBinom2, NBinom1,
        Beta, BetaBinomial,
    )
}  # fmt: skip
# Other packages' names; under each R means something else by theta, or by the links.
OTHER_NAMES = dict.fromkeys(("negative.binomial", "negative_binomial", "negbin", "neg.bin", "nbinom", "nb"), "nbinom2")
ELSEWHERE = {"logistic": "binomial", "bernoulli": "binomial", "logit": "binomial", "normal": "gaussian"}
# A name, and in brackets what follows; then its arguments: quoted, or plain with at most one pair of brackets.
_CALL = re.compile(r"\s*([\w.]+)\s*(?:\(((?:[^()]|\([^()]*\))*)\))?\s*")
_ARGUMENT = re.compile(r"\s*(?:(\w+)\s*=\s*)?(?:\"([^\"']*)\"|'([^\"']*)'|([^,\"'()=]*(?:\([^,\"'()=]*\))?))\s*(?:,|$)")


def as_family(given: str | Family | FociFamily) -> Family:
    """The family that a text such as `"binomial(probit)"` names; a Family passes through.

    >>> str(as_family("binomial")), str(as_family("Gamma(link='log')")), str(as_family("nbinom2(log, theta=2)"))
    ('binomial(logit)', 'Gamma(log)', 'nbinom2(log, theta=2)')
    >>> str(as_family("quasi(link = 'log', variance = 'mu^2')"))
    'quasi(log, variance=mu^2)'
    """
    if isinstance(given, Family):
        return given
    match = _CALL.fullmatch(str(given))
    cls = FAMILIES.get(match[1]) if match else None
    if match is None or cls is None:
        raise ValueError(_unknown(given, match[1] if match else ""))
    options = _arguments(str(given), match[2] or "", cls)
    link = options.pop("link", cls.links[0])
    if link not in cls.links:
        raise ValueError(f"family={given!r}: {cls.name} takes the links {', '.join(cls.links)}, not {link!r}")
    try:
        return _made(cls, link, options)
    except ValueError as error:
        raise ValueError(f"family={given!r}: {error}") from None


def _made(cls: type[Family], link: str, options: dict[str, str]) -> Family:
    if "variance" in options:
        return Quasi(LINKS[link], re.sub(r"\s", "", options["variance"]))
    if "theta" in options:
        return NBinom2(LINKS[link], _number(options["theta"]), fixed=True)
    return cls(LINKS[link])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"theta is a number above 0, got {text!r}") from None


def _arguments(given: str, inner: str, cls: type[Family]) -> dict[str, str]:
    """What stands in the brackets, by name; without a name in R's order."""
    order = ["link", *{Quasi: ["variance"], NBinom2: ["theta"]}.get(cls, [])]
    found: dict[str, str] = {}
    place = 0
    while place < len(inner) and inner.strip():
        match = _ARGUMENT.match(inner, place)
        free = [key for key in order if key not in found]
        key = match[1] or (free[0] if free else "") if match else ""
        value = next((match[i].strip() for i in (2, 3, 4) if match[i] is not None), "") if match else ""
        if match is None or key not in free or not value:
            raise ValueError(
                f"family={given!r} cannot be read; {cls.name} takes {' and '.join(order)} in brackets, each once, "
                f"as in {cls.name}({cls.links[-1]})"
            )
        found[key] = value
        place = match.end()
    return found


def _unknown(given: object, name: str) -> str:
    if name.lower() == "clustered_negative_binomial":
        return f"family={given!r} is a family of foci, as fn.read_foci reads them; of a table there is nbinom2"
    if name.lower() in OTHER_NAMES:
        return (
            f"family={given!r} is called nbinom2 here (variance mu + mu^2/theta): nbinom2 estimates theta as MASS's "
            "glm.nb does, nbinom2(log, theta=2) holds it fixed"
        )
    meant = ELSEWHERE.get(name.lower()) or nearest(name, FAMILIES)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"family={given!r} is not known; there are {', '.join(FAMILIES)}, the link in brackets{hint}"
