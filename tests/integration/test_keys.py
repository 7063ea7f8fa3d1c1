"""Keys: several while one takes another's place, JWK sets, what is no key; and links, which are made with them."""

import base64
import json
import secrets
import signal
import subprocess
import time

import pytest

from test_auth import LINK_SECRET, SECRET, b64, bearer, link, problem, reason, token
from test_publish import post
from waiting import wait_for

JWT = {"path": "/jwt", "channels": "k:jwt", "auth": "jwt"}
PLAIN = {"path": "/plain", "channels": "k:plain"}


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """An RSA key: its private half's file, its public half in PEM and in DER, and as a JWK."""
    private = tmp_path_factory.mktemp("pair") / "private.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(private))
    pem = openssl("pkey", "-in", str(private), "-pubout")
    der = openssl("pkey", "-in", str(private), "-pubout", "-outform", "DER")
    modulus = openssl("rsa", "-in", str(private), "-noout", "-modulus").decode().strip().partition("=")[2]
    jwk = {"kty": "RSA", "n": b64(bytes.fromhex(modulus)), "e": "AQAB", "use": "sig", "alg": "RS256", "kid": "rsa-1"}
    return {"private": str(private), "pem": pem, "der": der, "jwk": jwk}


def rsa_token(pair, user="zoe", kid="rsa-1", **claims):
    claims = {"sub": user, "exp": int(time.time()) + 60, **claims}
    text = b64(json.dumps({"alg": "RS256", "kid": kid}).encode()) + "." + b64(json.dumps(claims).encode())
    signature = openssl("dgst", "-sha256", "-sign", pair["private"], stdin=text.encode())
    return {"Authorization": f"Bearer {text}.{b64(signature)}"}


def forged(public_text):
    """What anybody can make who knows the public key."""
    return bearer(key=public_text, iss=None)


def forms(pair, folder):
    """Public keys as they are found, each a secret that everybody knows; and the command that must be named."""
    private = pair["private"]
    certificate = openssl("req", "-x509", "-key", private, "-subj", "/CN=a", "-days", "1")
    text = base64.b64encode(pair["der"]).decode()
    ssh = subprocess.run(["ssh-keygen", "-i", "-m", "PKCS8", "-f", write(folder / "for-ssh.pem", pair["pem"])],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    return {
        "der": (pair["der"], "openssl pkey -pubin -inform DER"), "ssh": (ssh, "ssh-keygen -e -m PKCS8"),
        "base64": (text, "base64 -d"), "wrapped": (base64.encodebytes(pair["der"]), "base64 -d"),
        "certificate": (certificate, "openssl x509 -pubkey"), "pkcs1": (openssl("rsa", "-in", private, "-RSAPublicKey_out"), "-RSAPublicKey_in"),
        "private": (open(private, "rb").read(), "openssl pkey -in"), "url": ("https://id.example.org/realms/x/certs/all", "curl"),
        "pem in base64": (base64.b64encode(pair["pem"]), "base64 -d"), "mark": (b"\xef\xbb\xbf" + SECRET.encode(), "sed"),
        "second line": (SECRET + "\n" + SECRET, "second line"), "xml": ("<RSAKeyValue><Modulus>" + text, "XML"),
        "a private jwk": (json.dumps({**pair["jwk"], "d": "AQAB"}), "jq"), "empty set": ('{"keys":[]}', "no JWK"),
        "discovery": ('{"issuer":"https://id.example.org","jwks_uri":"https://id.example.org/certs"}', "curl"),
    }


def test_what_is_no_key(launch, folder, pair):
    found = forms(pair, folder)
    for n, (name, (text, command)) in enumerate(found.items()):
        auth = {"jwt_key_file": write(folder / f"key{n}", text)}
        result = check(launch, {"jwt": JWT}, auth)
        assert result.returncode == 1 and "jwt_key_file" in result.err + result.out and command in result.err + result.out, \
            (name, result.out + result.err)
    for name in ("base64", "ssh", "url"):
        result = check(launch, {"jwt": JWT}, {"jwt_key": found[name][0].strip().replace("\n", "")})
        assert result.returncode == 1 and found[name][1] in result.err + result.out, (name, result.out + result.err)
    key_file = write(folder / "a.key", SECRET)
    result = check(launch, {"jwt": JWT}, {"jwt_key": key_file})
    assert result.returncode == 1 and f"jwt_key_file = {key_file[:60]}" in result.err + result.out
    missing = "/etc/sluice/a-key-that-nobody-has-made-yet.pem"
    result = check(launch, {"jwt": JWT}, {"jwt_key": missing})
    assert result.returncode == 1 and f"jwt_key_file = {missing}" in result.err + result.out
    result = check(launch, {"jwt": JWT}, {"jwt_key": json.dumps(pair["jwk"]).replace('"', "'")})
    assert result.returncode == 1 and "JWK" in result.err + result.out
    signed = {"path": "/s", "channels": "a", "auth": "signed"}
    for key in ("pem", "jwk"):
        text = pair[key] if key == "pem" else json.dumps(pair[key])
        result = check(launch, {"s": signed}, {"signed_key_file": write(folder / "link", text)})
        assert result.returncode == 1 and "secret, not with a public key" in result.err + result.out


def check(launch, routes, auth):
    sluice = launch(routes, auth=auth, start=False)
    return sluice.run("check", "-c", sluice.config)


def test_rotation(launch, folder, pair):
    """Tokens of the old key, of the new one and of the provider's set count; one that is forged with a public key does not."""
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    keys = {"keys": [{"kty": "RSA", "use": "enc", "n": "AQ", "e": "AQAB"}, pair["jwk"]]}
    files = [write(folder / "new.key", new + "\n"), write(folder / "old.key", old), write(folder / "keys.json", json.dumps(keys))]
    sluice = launch({"jwt": JWT}, auth={"jwt_key_file": ", ".join(files)})
    for headers in (bearer(key=new), bearer(key=old), rsa_token(pair), rsa_token(pair, kid="another"), bearer(key=new, header={"alg": "HS256", "kid": "x"})):
        sluice.open("/jwt", headers=headers).close()
    for text in (pair["pem"].decode(), pair["pem"].decode().strip(), json.dumps(keys), base64.b64encode(pair["der"]).decode()):
        problem(sluice, "/jwt", 401, headers=forged(text))
    problem(sluice, "/jwt", 401, headers=bearer(key=new, header={"alg": "HS256", "kid": "rsa-1"}))
    problem(sluice, "/jwt", 401, headers={"Authorization": rsa_token(pair)["Authorization"][:-8] + "AAAAAAAA"})
    made = sluice.run("token", "-c", sluice.config, "--user", "zoe")
    assert made.returncode == 0, made.err
    sluice.open("/jwt", headers={"Authorization": "Bearer " + made.out.strip()}).close()


def test_a_key_that_leaked(launch, folder):
    """Once it is replaced, who came in with it is out; who needed none notices nothing, and an equal [auth] ends nobody."""
    key = folder / "jwt.key"
    write(key, SECRET)
    sluice = launch({"jwt": JWT, "plain": PLAIN}, auth={"jwt_key_file": str(key)})

    def reload():
        n = sluice.log().count("configuration reloaded")
        sluice.child.send_signal(signal.SIGHUP)
        wait_for(lambda: sluice.log().count("configuration reloaded") > n, "the reload")
    with sluice.open("/jwt", headers=bearer()) as known, sluice.open("/plain") as plain:
        reload()
        assert known.quiet_for(0.3)
        write(key, secrets.token_hex(32))
        reload()
        assert reason(known) == "reload"
        assert plain.quiet_for(0.1)
    problem(sluice, "/jwt", 401, headers=bearer())


# Links

ROUTES = {
    "read": {"path": "/read/{id}", "channels": "k:{id}", "auth": "signed"},
    "write": {"path": "/write/{id}", "channels": "k:{id}", "auth": "signed", "publish": "k:{id}", "publish_auth": "signed"},
    "work": {"path": "/work", "handler": "queue", "streams": "k:work", "group": "g", "ack": "client", "auth": "signed"},
    "open": {"path": "/open", "channels": "k:open"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES, auth={"signed_key": LINK_SECRET})
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def test_a_link_to_read_does_not_publish(sluice):
    reading, writing = link("/write/a"), link("/write/a?may=publish")
    for uri in (reading, reading + "&may=publish", link("/write/b?may=publish").replace("/b", "/a"), link("/write/a?may=all")):
        assert post(sluice, uri)[0] in (401, 403), uri
    status, _, answer = post(sluice, reading)
    assert status == 403 and "may=publish" in answer["detail"]
    assert post(sluice, writing)[0] == 202
    sluice.open(writing).close()


def test_a_link_acknowledges_what_it_was_given(sluice, redis):
    redis.client().xadd("k:work", {"data": "1"})
    with sluice.open(link("/work")) as s:
        event = s.next_message()
        status, _, answer = post(sluice, link("/work") + f"&ack={event.last_event_id}")
        assert (status, answer) == (200, {"acked": 1})


def test_links_of_several_secrets(launch, folder):
    other = secrets.token_hex(32)
    files = write(folder / "new", other) + " " + write(folder / "old", LINK_SECRET)
    sluice = launch({"read": ROUTES["read"]}, auth={"signed_key_file": files})
    sluice.open(link("/read/a")).close()
    sluice.open(link("/read/a", key=other)).close()
    problem(sluice, link("/read/a", key=secrets.token_hex(32)), 401)


@pytest.mark.parametrize("args, why", [
    (["/nowhere"], "no route serves"), (["/open"], 'no "signed" in auth'), (["/read/a", "--may", "publish"], 'no "signed" in publish_auth'),
    (["/read/a", "--user", "a b"], "refuses this user"), (["/read/a", "--may", "all"], "publish"),
])
def test_links_that_would_be_refused(sluice, args, why):
    result = sluice.run("token", "-c", sluice.config, "--link", *args)
    assert result.returncode == 1 and why in result.err, result.err


def test_links_of_the_program(sluice):
    for args in (["/write/a", "--may", "publish"], ["/write/a?x=1", "--may", "publish", "--user", "zoe"]):
        result = sluice.run("token", "-c", sluice.config, "--link", *args)
        assert result.returncode == 0 and post(sluice, result.out.strip())[0] == 202, result.err
    assert sluice.run("token", "-c", sluice.config, "--user", "zoe", "--may", "publish").returncode == 2
    with open("/dev/full", "w") as full:
        assert subprocess.run(sluice.argv("token", "-c", sluice.config, "--link", "/read/a"), stdout=full,
                              stderr=subprocess.DEVNULL).returncode == 1
