"""What a name means."""

from __future__ import annotations

import pytest

from app.config.catalog import Catalog, Profile, Selector, Strategy
from app.errors import NotFound
from app.routing.resolve import find, resolve
from tests.endpoints.catalogs import catalog, model, peer

WARM = Selector("sel", Strategy.WARM, ("p/x", "a"))
CATALOG = catalog(
    model("a", aliases=("al", "m")),
    model("b"),
    peers=[peer("p", "m", "x", "both"), peer("q", "both")],
    selectors=[WARM],
)
PROFILE = Profile(
    "prof", "", {"a": "b", "b": "", "fast": "al", "chosen": "sel", "far": "q/both", "al": "fast", "gone": "nothing"}
)


def last(selector: Selector, _: Catalog) -> str:
    return selector.targets[-1]


def first(selector: Selector, _: Catalog) -> str:
    return selector.targets[0]


@pytest.mark.parametrize(
    ("name", "identity"),
    [("a", "a"), ("al", "a"), ("p/m", "p/m"), ("m", "a"), ("x", "p/x"), ("q/both", "q/both"), ("both", None), ("A", None),
     ("sel", None), ("", None)],
)  # fmt: skip
def test_local_names_go_before_those_of_peers(name: str, identity: str | None) -> None:
    found = find(CATALOG, name)

    assert (found and found.id) == identity


@pytest.mark.parametrize("profile", [None, Profile("other", "", {"z": "b"})])
@pytest.mark.parametrize(("asked", "identity"), [("a", "a"), ("al", "a"), ("x", "p/x"), ("p/m", "p/m")])
def test_name_that_nobody_pins_means_itself(asked: str, identity: str, profile: Profile | None) -> None:
    found = resolve(CATALOG, profile, asked, last)

    assert (found.model.id, found.requested, found.selector) == (identity, asked, None)


@pytest.mark.parametrize(
    ("asked", "requested", "identity"),
    [
        ("a", "b", "b"),  # pins go before models
        ("fast", "al", "a"),  # and are taken once: `al` is pinned, too
        ("far", "q/both", "q/both"),
        ("x", "x", "p/x"),
    ],
)
def test_pin_of_the_active_profile_is_taken_once(asked: str, requested: str, identity: str) -> None:
    found = resolve(CATALOG, PROFILE, asked, last)

    assert (found.model.id, found.requested, found.selector) == (identity, requested, None)


@pytest.mark.parametrize(("choose", "requested", "identity"), [(first, "p/x", "p/x"), (last, "a", "a")])
def test_selector_chooses(choose: object, requested: str, identity: str) -> None:
    found = resolve(CATALOG, None, "sel", choose)  # type: ignore[arg-type]

    assert (found.model.id, found.requested, found.selector) == (identity, requested, WARM)


def test_pin_may_mean_a_selector_whose_choice_is_not_pinned_again() -> None:
    found = resolve(CATALOG, PROFILE, "chosen", last)

    assert (found.model.id, found.requested, found.selector) == ("a", "a", WARM)


@pytest.mark.parametrize(("profile", "asked"), [(None, ""), (PROFILE, ""), (PROFILE, "b")])
def test_no_name_and_a_disabled_one_are_the_same(profile: Profile | None, asked: str) -> None:
    with pytest.raises(NotFound, match=r"^no model id could be identified$"):
        resolve(CATALOG, profile, asked, last)


@pytest.mark.parametrize(("profile", "asked"), [(None, "both"), (None, "fast"), (None, "A"), (PROFILE, "gone")])
def test_name_that_means_nothing_is_told_so(profile: Profile | None, asked: str) -> None:
    with pytest.raises(NotFound, match=r"^no router for requested model$"):
        resolve(CATALOG, profile, asked, last)
