"""Peers, selectors and profiles: what they mean, and what is refused (compatibility specification 2.11 to 2.13)."""

from __future__ import annotations

import pytest

from app.config.catalog import Catalog, Filters, Peer, Profile, Selector, Strategy, Timeouts
from tests.config.reading import read, refusal

MODELS = """
models:
  a: {proxy: 'http://h:1', aliases: [al]}
  b: {proxy: 'http://h:2', filters: {setParamsByID: {'b:think': {x: 1}}}}
  c: {proxy: 'http://h:3'}
groups:
  g: {swap: false, members: [a, b]}
peers:
  p: {proxy: 'http://p:80/v', models: [m, both]}
  q: {proxy: 'https://q/', models: [both, p/m]}
"""


def catalog(text: str) -> Catalog:
    return read(MODELS + text)


def told(text: str) -> str:
    return str(refusal(MODELS + text))


# Peers


def test_a_peer_in_full() -> None:
    found = read(
        """
        peers:
          p:
            proxy: ' https://gpu-box:8080/base/ '
            models: [m, n, m]
            apiKey: sk-1
            filters: {stripParams: x, setParams: {y: 1}, setParamsByID: {z: {w: 1}}}
            timeouts: {connect: 1, keepalive: 2, responseHeader: 3, tlsHandshake: 4, expectContinue: 5, idleConn: 6}
        """
    )

    assert found.peers == {
        "p": Peer(
            "p",
            "https://gpu-box:8080/base",
            ("m", "n"),
            "sk-1",
            Filters(("x",), (("y", 1),), {"z": (("w", 1),)}),
            Timeouts(1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
        )
    }
    assert found.aliases == {}, "only models get aliases from setParamsByID"
    assert found.warnings == ()


def test_defaults_of_a_peer() -> None:
    found = catalog("").peers["p"]

    assert found == Peer("p", "http://p:80/v", ("m", "both"), "", Filters(), Timeouts(response_header_s=60.0))


def test_names_of_peers_models() -> None:
    """`p/m` is the model m of p, though q has one that is called so; `both` is of two."""
    names = {name: (model.peer.id, model.name) for name, model in catalog("").peer_models.items()}

    assert names == {
        "m": ("p", "m"),
        "p/m": ("p", "m"),
        "p/both": ("p", "both"),
        "q/both": ("q", "both"),
        "q/p/m": ("q", "p/m"),
    }


def test_peers_models_are_found_by_their_names() -> None:
    found = catalog("")

    assert [model and model.id for model in map(found.resolve_peer, ("m", "p/m", "both", "q/p/m", "x"))] == [
        "p/m",
        "p/m",
        None,
        "q/p/m",
        None,
    ]


def test_a_local_model_may_be_called_like_a_peers_bare_one() -> None:
    found = read("models: {m: {proxy: 'http://h', aliases: [n]}}\npeers: {p: {proxy: 'http://p', models: [m, n]}}")

    assert (found.resolve("m"), found.resolve("n")) == ("m", "m")
    assert {"p/m", "p/n"} <= set(found.peer_models)


@pytest.mark.parametrize(
    ("peers", "words"),
    [
        ("p: {models: [m]}", "config.yaml:1: peers.p: a peer needs a proxy (write e.g. proxy: https://gpu-box:8080)"),
        ("p: ", "peers.p: a peer needs a proxy"),
        ("p: {proxy: gpu-box, models: [m]}", "peers.p.proxy: expected a URL that starts with http:// or https://"),
        ("p: {proxy: 'http://h'}", "peers.p: a peer needs models"),
        ("p: {proxy: 'http://h', models: [m, ' ']}", "peers.p.models[1]: a model needs a name"),
        ("p: {proxy: 'http://h', models: m}", "peers.p.models: expected a list"),
        ("'': {proxy: 'http://h', models: [m]}", "a peer needs an id"),
        ('p: {proxy: "http://h", models: [m], apiKey: "a\\nb"}', "peers.p.apiKey: a key has characters that cannot"),
        ("p: {proxy: 'http://h', models: [m], apiKey: é}", "peers.p.apiKey: a key has characters that cannot"),
        ("p: {proxy: 'http://h', models: [m], apiKey: [sk-1]}", "peers.p.apiKey: expected text, got something else"),
        ("p: {proxy: 'http://h', models: [m], timeouts: {connect: -1}}", "peers.p.timeouts.connect: expected 0 or"),
        ("p: {proxy: 'http://h', models: [m], filters: {stripParams: '*'}}", "peers.p.filters.stripParams"),
        (
            "p: {proxy: 'http://h', models: [q/m]}, p/q: {proxy: 'http://h', models: [m]}",
            'peers["p/q"].models[0]: "p/q/m" would mean this model and one of peer "p" (rename one of the peers)',
        ),
    ],
)
def test_peers_refused(peers: str, words: str) -> None:
    assert words in str(refusal(f"peers: {{{peers}}}"))


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ("p/m: {proxy: 'http://h'}", 'models["p/m"]: the model is called "p/m"'),
        ("x: {proxy: 'http://h', aliases: [p/m]}", 'models.x: an alias of model "x" is called "p/m", which is how'),
        ("x: {proxy: 'http://h', filters: {setParamsByID: {p/m: {}}}}", 'an alias of model "x" is called "p/m"'),
    ],
)
def test_names_of_peers_models_are_theirs_alone(models: str, words: str) -> None:
    assert words in str(refusal(f"models: {{{models}}}\npeers: {{p: {{proxy: 'http://p', models: [m]}}}}"))


# Selectors


def test_a_selector_in_full() -> None:
    found = catalog(
        """
selectors:
  s:
    strategy: spillover
    targets: [a, 'b:think', p/m]
    settings: {spillover: 3}
    name: ' S '
    description: d
    unlisted: yes
    metadata: {x: 1}
  t: {strategy: pin, targets: [c, c, both/none, p/m], settings: {spillover: 0}}
""".replace("both/none, ", "")
    )

    assert found.selectors == {
        "s": Selector(
            "s",
            Strategy.SPILLOVER,
            ("a", "b:think", "p/m"),
            3,
            "S",
            "d",
            unlisted=True,
            metadata={"x": 1},
        ),
        "t": Selector("t", Strategy.PIN, ("c", "c", "p/m"), 0),
    }
    assert found.warnings == ()


@pytest.mark.parametrize(
    "selector",
    [
        "s: {strategy: warm, targets: [a, c, al]}",
        "s: {strategy: pin, targets: [m]}",
        "s: {strategy: spillover, targets: [c]}",
        "s: {strategy: spillover, targets: [c, p/both, q/both]}",
        "s: {strategy: spillover, targets: [al, b]}",
        "m: {strategy: warm, targets: [a]}",
    ],
)
def test_selectors_accepted(selector: str) -> None:
    assert len(catalog(f"selectors: {{{selector}}}").selectors) == 1


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("s: {targets: [a]}", "selectors.s: a selector needs a strategy: warm, pin or spillover; it has none"),
        ("s: {strategy: cold, targets: [a]}", "selectors.s.strategy: a selector needs a strategy: warm, pin or "),
        ("s: {strategy: warm}", "selectors.s: a selector needs targets"),
        ("s: {strategy: warm, targets: []}", "selectors.s: a selector needs targets"),
        ("' ': {strategy: warm, targets: [a]}", "a selector needs an id"),
        (
            "s: {strategy: spillover, targets: [a], settings: {spillover: 0}}",
            "selectors.s.settings.spillover: expected 1 or more, got 0",
        ),
        ("a: {strategy: pin, targets: [b]}", 'selectors.a: "a" is a model already (give the selector another name)'),
        ("al: {strategy: pin, targets: [b]}", 'selectors.al: "al" is an alias of model "a" already'),
        ("'b:think': {strategy: pin, targets: [b]}", '"b:think" is an alias of model "b" already'),
        ("p/m: {strategy: pin, targets: [b]}", '"p/m" is how the model of peer "p" is asked for'),
        ("s: {strategy: pin, targets: [t]}, t: {strategy: pin, targets: [a]}", 'selectors.s.targets[0]: "t" is a sel'),
        ("s: {strategy: pin, targets: [s]}", '"s" is a selector; the targets of one are models'),
        (
            "s: {strategy: pin, targets: [a, aa]}",
            'selectors.s.targets[1]: "aa" is neither a model nor one of a peer (did you mean a?)',
        ),
        ("s: {strategy: pin, targets: [both]}", '"both" is neither a model nor one of a peer'),
        ("s: {strategy: pin, targets: [zzzzz]}", "(name a key of models, an alias, or peer/model)"),
        ("s: {strategy: warm, targets: [a, p/m]}", 'selectors.s.targets[1]: "p/m" is a peer\'s model'),
        ("s: {strategy: spillover, targets: [a, al]}", '"al" and "a" are the same model (keep one of them)'),
        ("s: {strategy: spillover, targets: [m, p/m]}", '"p/m" and "m" are the same model'),
        (
            "s: {strategy: spillover, targets: [a, c]}",
            'selectors.s.targets: its local targets cannot run together: starting "',
        ),
    ],
)
def test_selectors_refused(selector: str, words: str) -> None:
    assert words in told(f"selectors: {{{selector}}}")


def test_spillover_over_models_of_the_default_group_is_refused() -> None:
    assert "put them into one group with swap: false" in str(
        refusal(
            "models: {a: {proxy: 'http://h'}, b: {proxy: 'http://h'}}\n"
            "selectors: {s: {strategy: spillover, targets: [a, b]}}"
        )
    )


# Profiles


def test_a_profile_in_full() -> None:
    found = catalog(
        """
selectors: {s: {strategy: pin, targets: [a]}}
profiles:
  work:
    description: ' d '
    pins: {gpt-4o: a, x: al, y: 'b:think', z: p/m, w: m, v: s, off: '', gone: ~, gone2: , a: c}
  rest: {pins: {x: b}}
"""
    )

    assert found.profiles == {
        "work": Profile(
            "work",
            "d",
            {
                "gpt-4o": "a",
                "x": "al",
                "y": "b:think",
                "z": "p/m",
                "w": "m",
                "v": "s",
                "off": "",
                "gone": "",
                "gone2": "",
                "a": "c",
            },
        ),
        "rest": Profile("rest", "", {"x": "b"}),
    }
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        ("x: [a, b]", "profiles.x: expected a mapping, got a list (lists were the older syntax: write pins: below it"),
        ("x: {}", "profiles.x: a profile needs pins (write e.g. pins: {gpt-4o: llama})"),
        ("x: ", "profiles.x: a profile needs pins"),
        ("' ': {pins: {x: a}}", "a profile needs a name"),
        ("x: {pins: {' ': a}}", "a pin needs a name"),
        ("x: {pins: {y: [a]}}", "profiles.x.pins.y: expected text, got a list"),
        ("x: {pins: {p/m: a}}", 'profiles.x.pins["p/m"]: "p/m" is how the model of peer "p" is asked for'),
        ("x: {pins: {y: aa}}", 'profiles.x.pins.y: "aa" is neither a model nor a selector (did you mean a?)'),
        ("x: {pins: {y: zzzzz}}", 'or write "" to disable the name'),
        ("x: {pins: {y: both}}", '"both" is neither a model nor a selector'),
        ("x: {pins: {y: z, z: a}}", 'profiles.x.pins.y: "z" is a pin itself, and pins are followed once (write what'),
    ],
)
def test_profiles_refused(profiles: str, words: str) -> None:
    assert words in told(f"profiles: {{{profiles}}}")
