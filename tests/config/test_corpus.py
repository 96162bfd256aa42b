"""What existing files say is accepted or refused as the reference does (compatibility specification, appendix B)."""

from __future__ import annotations

import pytest

from tests.config.reading import read, refusal

P = "proxy: 'http://h:1'"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "healthCheckTimeout: 30\n",
        f"models: {{a: {{{P}}}}}",
        f"models: {{a: {{{P}, ttl: 30.0}}}}",
        f"models: {{a: {{{P}, name: 5, aliases: [6]}}}}",
        "logLevel: whatever",
        "healthCheckTimeout: 1",
        f"models: {{a: {{cmd: '', {P}}}}}",
        f"models: {{a: {{{P}, aliases: [b]}}, b: {{{P}}}}}",
        f"x: &x {{{P}}}\nmodels: {{a: {{<<: *x}}}}",
        "models: {}\n---\nmodels: [\n",
        "captureBuffer: -5",
        f"models: {{a: {{{P}, unlisted: yes}}, b: {{{P}, unlisted: 'yes'}}}}",
        "models: {} # ${env.UNSET}",
        "x-templates: ['${nothing}']",
        f"models:\r\n  a:\r\n    {P}\r\n",
        "performance: {every: 1m30s}",
        "models:\n  a:\n",
        f"models: {{a: {{{P}, name: 5, aliases: [6]}}}}\napiKeys: [123]",
        f"models: {{org/a: {{{P}}}}}",
        "performance: {disabled: on, every: 0s}",
        "upstream: {ignorePaths: ['.*\\.(js|css)$']}",
        f"models: {{a: {{{P}, filters: {{strip_params: 'x, y'}}}}}}",
        f"models: {{a: {{{P}}}}}\nselectors: {{s: {{strategy: pin, targets: [a]}}}}\nprofiles: {{p: {{pins: {{x: s, y: '', z: }}}}}}",
        f"peers: {{p: {{{P}, models: [1, m]}}}}",
        f"models: {{org/a: {{{P}}}}}\nmatrix: {{vars: {{x: org/a}}, sets: {{s: x}}}}",
    ],
)
def test_accepted(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    "text",
    [
        "models: {a: {name: x}}",
        "models: {a: {}}\nmodels: {}",
        "startPort: '5800'",
        "globalTTL: soon",
        f"models: {{a: {{{P}, ttl: -2}}}}",
        f"models: {{a: {{{P}, unlisted: 'true'}}}}",
        "performance: {every: 3s}",
        "performance: {every: 15}",
        "routing: {scheduler: {use: x}}",
        "routing: {router: {use: x}}",
        f"models: {{a: {{{P}}}}}\ngroups: {{g: {{members: [a]}}}}\nrouting: {{router: {{settings: {{groups: {{g: {{}}}}}}}}}}",
        f"models: {{a: {{{P}}}}}\ngroups: {{g: {{members: [a, a]}}}}",
        f"models: {{a: {{{P}}}}}\ngroups: {{g: {{members: [a]}}, h: {{members: [a]}}}}",
        f"models: {{a: {{{P}, aliases: [x]}}, b: {{{P}, aliases: [x]}}}}",
        f"models: {{a: {{{P}, cmd: '${{x}}'}}}}",
        f"models: {{a: {{{P}, cmd: '${{env.UNSET}}'}}}}",
        "macros: {a: [1]}",
        "macros: {a: ~}",
        "macros: {a: 2020-01-01}",
        "macros: {PORT: 1}",
        "macros: {'a b': 1}",
        "logToStdout: x",
        "startPort: 0",
        "routing: {scheduler: {settings: {fifo: {priority: {x: 1}}}}}",
        f"models: {{a: {{{P}, capabilities: {{in: [smell]}}}}}}",
        "store: {path: ''}",
        "[]",
        "models:\n\ta: {}",
        f"models: {{a: {{{P}, metadata: []}}}}",
        f"models: {{a: {{{P}, env: x}}}}",
        f"models: {{a: {{{P}, aliases: x}}}}",
        f"models: {{a: {{{P}}}}}\ngroups: {{g: {{members: [x]}}}}",
        "profiles: {p: [a]}",
        "profiles: {p: {pins: {}}}",
        "profiles: {p: {description: d}}",
        "x: 1\nx: 2",
        "peers: {p: {models: [m]}}",
        f"peers: {{p: {{{P}}}}}",
        f"peers: {{p: {{{P}, models: []}}}}",
        "apiKeys: ['a b']",
        "apiKeys: ['']",
        "upstream: {ignorePaths: ['(']}",
        "store: {path: /}",
        "globalTTL: -1",
        "unloadTimeout: -1",
        f"models: {{a: {{{P}}}}}\nmatrix: {{vars: {{x: a}}}}",
        f"models: {{a: {{{P}}}}}\nmatrix: {{sets: {{s: 'x &'}}}}",
        f"models: {{a: {{{P}}}}}\nmatrix: {{sets: {{s: +t, t: +s}}}}",
        f"models: {{a: {{{P}}}}}\nmatrix: {{sets: {{s: a}}, evict_costs: {{a: 0}}}}",
        f"models: {{'a:1': {{{P}}}}}\nmatrix: {{sets: {{s: 'a:1'}}}}",
        f"models: {{a: {{{P}}}, b: {{{P}}}}}\nselectors: {{s: {{strategy: spillover, targets: [a, b]}}}}",
        f"models: {{a: {{{P}}}}}\nselectors: {{a: {{strategy: pin, targets: [a]}}}}",
        f"models: {{a: {{{P}}}}}\nselectors: {{s: {{strategy: cold, targets: [a]}}}}",
    ],
)
def test_refused_in_one_sentence_that_names_the_file(text: str) -> None:
    problem = refusal(text)

    assert problem.source == "config.yaml"
    assert problem.message
    assert "\n" not in str(problem)
    assert problem.line is not None
