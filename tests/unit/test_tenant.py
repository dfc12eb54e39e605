"""Tenants: what a configuration may say, where secrets come from, and that nothing ever shows them."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import TenantError
from bulkops.secret import Secret
from bulkops.tenant import (
    Tenant,
    accept_url,
    find_config,
    is_loopback,
    load_tenant,
    load_tenants,
    pick_tenant,
)

GOOD = """
[tenants.acme]
url = "http://127.0.0.1:8765/ATServicesRest"
username = "api@acme.test"
secret = "env:ACME_SECRET"
integration_code = "env:ACME_CODE"
impersonate = 29683
settle_s = 12

[tenants.acme.budget]
share = 0.5
requests = 9000
window_s = 60
per_entity = 3
release_ms = 10
child_counts = "child"

[tenants.beta]
username = "api@beta.test"
secret = "file:beta.secret"
integration_code = "keyring:beta-code"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "bulkops.toml"
    path.write_text(text, "utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(TenantError) as caught:
        load_tenants(written(folder, text))
    return str(caught.value)


def test_every_key_of_the_contract_is_read(tmp_path: Path) -> None:
    """A file with all keys gives a tenant with all values, and defaults where it is silent."""
    tenants = load_tenants(written(tmp_path, GOOD))
    acme, beta = tenants["acme"], tenants["beta"]
    assert (acme.name, acme.url, acme.username) == (
        "acme",
        "http://127.0.0.1:8765/ATServicesRest",
        "api@acme.test",
    )
    assert (acme.impersonate, acme.settle_s) == (29683, 12)
    budget = acme.budget
    assert (budget.share, budget.requests, budget.window_s) == (0.5, 9000, 60)
    assert (budget.per_entity, budget.release_ms, budget.child_counts) == (3, 10, "child")
    assert (beta.url, beta.settle_s, beta.budget.share, beta.budget.per_entity) == (None, 310, 0.75, 2)
    assert (beta.budget.requests, beta.budget.window_s, beta.budget.child_counts) == (None, None, "both")


def test_secrets_are_read_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading touches no secret; asking for the credentials reads what the references name by then."""
    monkeypatch.delenv("ACME_SECRET", raising=False)
    acme = load_tenants(written(tmp_path, GOOD))["acme"]
    monkeypatch.setenv("ACME_SECRET", "s3cret")
    monkeypatch.setenv("ACME_CODE", "c0de")
    credentials = acme.credentials()
    assert (credentials.username, credentials.secret, credentials.integration_code) == (
        "api@acme.test",
        "s3cret",
        "c0de",
    )


def test_a_secret_file_stands_beside_the_configuration(tmp_path: Path) -> None:
    """A relative `file:` is resolved against the folder of bulkops.toml, and its line end is dropped."""
    (tmp_path / "beta.secret").write_text("from-file\n", "utf-8")
    assert load_tenants(written(tmp_path, GOOD))["beta"].secret.reveal("x") == "from-file"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:BULKOPS_NOT_SET", "environment variable BULKOPS_NOT_SET is not set"),
        ("file:no-such-file", "no-such-file cannot be read"),
        ("env:BULKOPS_EMPTY", "env:BULKOPS_EMPTY is empty"),
        ("env:BULKOPS_BROKEN", "holds a line break"),
    ],
)
def test_a_missing_secret_says_which_and_what_to_do(
    reference: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way in which a secret can be missing is a sentence with the tenant, the key and the place."""
    monkeypatch.delenv("BULKOPS_NOT_SET", raising=False)
    monkeypatch.setenv("BULKOPS_EMPTY", " ")
    monkeypatch.setenv("BULKOPS_BROKEN", "a\nHost: evil")
    text = GOOD.replace("env:ACME_SECRET", reference)
    with pytest.raises(TenantError) as caught:
        load_tenants(written(tmp_path, text))["acme"].credentials()
    assert "tenant acme, secret: " in str(caught.value)
    assert said in str(caught.value)
    assert "evil" not in str(caught.value)


def test_a_keychain_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """keyring is optional: where it is missing, the sentence says how to get it."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(TenantError, match=r"bulkops\[keyring\]"):
        Secret("keyring:acme").reveal("api@acme.test")


class FakeKeychain(types.ModuleType):
    """The optional package, as far as it is used."""

    class errors:  # noqa: N801 - the package's own name
        class KeyringError(Exception):
            pass

    def get_password(self, service: str, account: str) -> str | None:
        if service == "locked":
            raise self.errors.KeyringError("nobody is there to unlock it")
        return {("acme", "api@acme.test"): "from-keychain"}.get((service, account))


def test_a_keychain_is_asked_by_service_and_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """keyring:SERVICE is the secret of the tenant's user name; none there, or no access, is a sentence."""
    monkeypatch.setitem(sys.modules, "keyring", FakeKeychain("keyring"))
    assert Secret("keyring:acme").reveal("api@acme.test") == "from-keychain"
    with pytest.raises(TenantError, match="no secret for service acme and account other"):
        Secret("keyring:acme").reveal("other")
    with pytest.raises(TenantError, match="cannot be read"):
        Secret("keyring:locked").reveal("other")


@given(st.text(min_size=8, alphabet=st.characters(min_codepoint=33, max_codepoint=126)))
def test_no_text_of_a_tenant_ever_shows_a_literal_secret(secret: str) -> None:
    """repr, str and JSON of tenants, secrets and credentials hide what the secret is."""
    secret = f"<<{secret}>>"
    tenant = Tenant(
        name="t",
        url="http://127.0.0.1:1/",
        username="u",
        secret=Secret(secret),
        integration_code=Secret(secret),
    )
    shown = [
        repr(tenant),
        str(tenant),
        tenant.model_dump_json(),
        repr(tenant.secret),
        repr(tenant.credentials()),
    ]
    assert tenant.credentials().secret == secret
    assert not [text for text in shown if secret in text]


def test_a_literal_secret_is_for_this_machine_only(tmp_path: Path) -> None:
    """Without a loopback URL a literal is refused, with the ways out and without the secret."""
    text = '[tenants.a]\nusername = "u"\nsecret = "hunter2"\nintegration_code = "env:C"\n'
    said = refusal(tmp_path, text)
    assert "secret is written as it is" in said
    assert "env:NAME, file:PATH or keyring:SERVICE" in said
    assert "hunter2" not in said
    assert load_tenants(written(tmp_path, text + 'url = "http://localhost:1"\n'))["a"].secret.is_literal


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("username =", "usernme =", ":4: unknown key 'usernme', did you mean 'username'?"),
        ('username = "api@acme.test"', "", ":2: tenant acme has no username"),
        ("share = 0.5", "share = 7", ":11: share must be less than or equal to 1"),
        ("per_entity = 3", "per_entity = 4", "per_entity must be less than or equal to 3"),
        (
            'child_counts = "child"',
            'child_counts = "kid"',
            "child_counts must be 'child', 'parent' or 'both'",
        ),
        ("release_ms = 10", "relase_ms = 10", ":15: unknown key 'relase_ms', did you mean 'release_ms'?"),
        ("[tenants.acme.budget]", "[tenants.acme.budgets]", "did you mean 'budget'?"),
        ("impersonate = 29683", 'impersonate = "who"', ":7: impersonate must be a valid integer"),
        ("\n[tenants.acme]", "\nversion = 1\n[tenants.acme]", ":2: unknown key 'version'"),
        ("settle_s = 12", "settle_s = = 12", ":8: this is not TOML"),
        ("http://127.0.0.1:8765", "https://autotask.net.evil.test", ":3: url would send the credentials to"),
    ],
)
def test_a_fault_names_its_line_and_what_to_do(old: str, new: str, said: str, tmp_path: Path) -> None:
    """What is wrong with the file is told with file:line; a misspelled key with the right one."""
    assert old in GOOD
    text = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert said in text
    assert "bulkops.toml:" in text


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Two mistakes are two lines of one refusal."""
    text = GOOD.replace("share = 0.5", "share = 7").replace("username =", "usernme =", 1)
    assert len(refusal(tmp_path, text).splitlines()) == 3  # unknown key, no username, share


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    """A value that does not fit is not quoted: it may be a secret that slipped a line."""
    said = refusal(tmp_path, GOOD.replace("impersonate = 29683", 'impersonate = "hunter2"'))
    assert "hunter2" not in said


@pytest.mark.parametrize("text", ["", "[tenants]\n", "tenants = 3\n"])
def test_a_file_without_tenants_says_so(text: str, tmp_path: Path) -> None:
    """An empty configuration says what to write."""
    assert "there is no tenant" in refusal(tmp_path, text)


def test_a_file_that_is_no_utf8_says_so(tmp_path: Path) -> None:
    """Bytes of another encoding are a sentence, not a traceback."""
    path = tmp_path / "bulkops.toml"
    path.write_bytes(b"[tenants.a]\nusername = '\xff'\n")
    with pytest.raises(TenantError, match="not UTF-8"):
        load_tenants(path)


def test_an_unknown_tenant_lists_the_known_ones(tmp_path: Path) -> None:
    """Asking for a tenant that is not there names those that are, and the likeliest."""
    path = written(tmp_path, GOOD)
    tenants = load_tenants(path)
    with pytest.raises(TenantError, match=r"no tenant 'acm', did you mean 'acme'\? It knows: acme, beta"):
        pick_tenant(tenants, "acm", path)
    with pytest.raises(TenantError, match="--tenant"):
        pick_tenant(tenants, None, path)
    assert pick_tenant({"acme": tenants["acme"]}, None, path).name == "acme"


def test_the_configuration_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config wins over BULKOPS_CONFIG, that over ./bulkops.toml; none there says how to make one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TenantError, match="bulkops init"):
        find_config(environ={})
    here = written(tmp_path, GOOD)
    other = tmp_path / "other.toml"
    other.write_text(GOOD, "utf-8")
    assert find_config(environ={}).resolve() == here
    assert find_config(environ={"BULKOPS_CONFIG": str(other)}) == other
    assert find_config(here, environ={"BULKOPS_CONFIG": str(other)}) == here
    with pytest.raises(TenantError, match="--config"):
        find_config(tmp_path / "none.toml", environ={})
    assert load_tenant("beta", other).name == "beta"


def test_the_share_of_one_call_can_be_another() -> None:
    """`with_share` changes the share and nothing else, within its bounds."""
    tenant = Tenant(
        name="t", url="http://127.0.0.1:1", username="u", secret=Secret("a"), integration_code=Secret("b")
    )
    assert tenant.with_share(1.0).budget.share == 1.0
    assert tenant.with_share(0.75) == tenant
    with pytest.raises(ValueError, match="above 0"):
        tenant.with_share(0)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (
            "https://webservices5.autotask.net/ATServicesRest/",
            "https://webservices5.autotask.net/ATServicesRest",
        ),
        (
            "https://webservices5.autotask.net/atservicesrest/v1.0/",
            "https://webservices5.autotask.net/atservicesrest",
        ),
        ("https://AUTOTASK.NET", "https://AUTOTASK.NET"),
        ("http://127.0.0.1:8765/ATServicesRest", "http://127.0.0.1:8765/ATServicesRest"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_vendor_and_loopback_urls_are_accepted(url: str, base: str) -> None:
    """The vendor's domain by https, and this machine; trailing slash and version are taken off."""
    assert accept_url(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "http://webservices5.autotask.net/",
        "https://autotask.net.evil.test/",
        "https://evilautotask.net/",
        "https://evil.test/autotask.net",
        "https://user:pass@webservices5.autotask.net/",
        "https://webservices5.autotask.net@evil.test/",
        "https://evil.test\\.autotask.net/",
        "https://evil.test#.autotask.net/",
        "https://webservices5.autotask.net/?next=evil",
        "http://127.0.0.1.evil.test/",
        "http://10.0.0.1/",
        "ftp://localhost/",
        "webservices5.autotask.net",
        "",
    ],
)
def test_credentials_go_nowhere_else(url: str) -> None:
    """No other host, no plain http, and no URL that a reader could take for another host."""
    with pytest.raises(ValueError, match=r"would send|plain http"):
        accept_url(url)


@given(st.text(), st.sampled_from(["http", "https"]))
def test_no_text_makes_a_foreign_host_acceptable(text: str, scheme: str) -> None:
    """Whatever stands before it: a host that ends in a foreign domain never gets credentials."""
    url = f"{scheme}://{text}.evil.test"
    assert not is_loopback(url)
    with pytest.raises(ValueError, match=r"would send|plain http"):
        accept_url(url)
