#!/usr/bin/env python3
"""Keys and tokens for cases, made by jwcrypto, so that what Outrigger accepts was signed by somebody else's code.

    pip install jwcrypto
    conformance/peers/jwt/tokens.py keys            # the public sets of the issuers, as JSON
    conformance/peers/jwt/tokens.py token NAME      # one token
    conformance/peers/jwt/tokens.py fill PAGE...    # writes tokens and sets into pages of cases, where {{NAME}} stands

The private keys in `keys.json` sign nothing but tests. ECDSA and PSS draw random numbers, so their tokens are others each time.
"""

import base64
import json
import pathlib
import re
import sys

from jwcrypto import jwk, jws

HERE = pathlib.Path(__file__).parent
STORE = HERE / "keys.json"
KINDS = {
    "rsa": {"kty": "RSA", "size": 2048},
    "rsa-other": {"kty": "RSA", "size": 2048},
    "ec": {"kty": "EC", "crv": "P-256"},
    "ec384": {"kty": "EC", "crv": "P-384"},
    "ec521": {"kty": "EC", "crv": "P-521"},
    "ed": {"kty": "OKP", "crv": "Ed25519"},
    "stranger": {"kty": "RSA", "size": 2048},
}
LATER, LONG_AGO, FAR_AHEAD = 4102444799, 1000000000, 4102444700
ALICE = {"iss": "https://issuer.test", "sub": "alice", "exp": LATER}
OTHER = {"iss": "https://other.test", "sub": "bob", "exp": LATER}


def load():
    if not STORE.exists():
        made = {name: jwk.JWK.generate(kid=name, **kind) for name, kind in KINDS.items()}
        STORE.write_text(json.dumps({n: json.loads(k.export()) for n, k in made.items()}, indent=1, sort_keys=True) + "\n")
    return {name: jwk.JWK(**key) for name, key in json.loads(STORE.read_text()).items()}


KEYS = load()


def public(*names, **more):
    keys = [{**json.loads(KEYS[n].export_public()), **more} for n in names]
    return json.dumps({"keys": keys}, separators=(",", ":"), sort_keys=True)


def encoded(data):
    data = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(key, alg, claims, **header):
    header = {"alg": alg, "kid": key, "typ": "JWT", **header}
    header = {name: value for name, value in header.items() if value is not None}
    payload = claims if isinstance(claims, (bytes, str)) else json.dumps(claims, separators=(",", ":"))
    made = jws.JWS(payload)
    made.allowed_algs = list(jws.default_allowed_algs) + ["EdDSA", "ES256K"]
    made.add_signature(KEYS[key], None, json.dumps(header), None)
    return made.serialize(compact=True)


def confused():
    """RS256 taken for HS256, with the public key as the secret."""
    secret = KEYS["rsa"].export_to_pem()
    key = jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(secret).rstrip(b"=").decode())
    made = jws.JWS(json.dumps(ALICE))
    made.add_signature(key, None, json.dumps({"alg": "HS256", "kid": "rsa"}), None)
    return made.serialize(compact=True)


def cut(token, part, text):
    parts = token.split(".")
    parts[part] = text
    return ".".join(parts)


def tokens():
    rs = lambda claims, **header: signed("rsa", "RS256", claims, **header)
    good = rs(ALICE)
    every = {alg: signed(key, alg, ALICE) for key, alg in [
        ("rsa", "RS384"), ("rsa", "RS512"), ("rsa", "PS256"), ("rsa", "PS384"), ("rsa", "PS512"),
        ("ec", "ES256"), ("ec384", "ES384"), ("ec521", "ES512"), ("ed", "EdDSA")]}
    flipped = good[:-8] + ("A" if good[-8] != "A" else "B") + good[-7:]
    return {
        "ALICE": good,
        "ALICE_PAYLOAD": good.split(".")[1],
        **every,
        "BOB": signed("rsa-other", "RS256", OTHER),
        "BOB_EXPIRED": signed("rsa-other", "RS256", {**OTHER, "exp": LONG_AGO}),
        "EXPIRED": rs({**ALICE, "exp": LONG_AGO}),
        "EARLY": rs({**ALICE, "nbf": FAR_AHEAD}),
        "UNKNOWN_ISSUER": rs({**ALICE, "iss": "https://nobody.test"}),
        "NO_ISSUER": rs({"sub": "alice", "exp": LATER}),
        "NO_KID": rs(ALICE, kid=None),
        "OTHER_KID": rs(ALICE, kid="gone"),
        "STRANGER": signed("stranger", "RS256", ALICE, kid="rsa"),
        "FLIPPED": flipped,
        "NONE": encoded({"alg": "none"}) + "." + encoded(ALICE) + ".AA",
        "NONE_UNSIGNED": encoded({"alg": "none"}) + "." + encoded(ALICE) + ".",
        "CONFUSED": confused(),
        "CRITICAL": ".".join([encoded({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False}), encoded(ALICE), good.split(".")[2]]),
        "TWICE": rs('{"iss":"https://issuer.test","sub":"mallory","sub":"alice","exp":4102444799}'),
        "DEEP": rs('{"iss":"https://issuer.test","a":' + "[" * 200 + "]" * 200 + "}"),
        "AUD_A": rs({**ALICE, "aud": "a.test"}),
        "AUD_LIST": rs({**ALICE, "aud": ["z.test", "https://a.test/"]}),
        "AUD_OTHER": rs({**ALICE, "aud": "b.test"}),
        "CLAIMS": rs({**ALICE, "group": {"id": 7, "name": "ops"}, "admin": True, "scope": "read write", "list": ["a"], "half": 0.5}),
        "BAD_EXP": rs({**ALICE, "exp": "soon"}),
        "BAD_ISS": rs({**ALICE, "iss": 1}),
        "BAD_AUD": rs({**ALICE, "aud": [1]}),
        "BAD_PAYLOAD": rs("[]"),
        "BAD_SIGNATURE": cut(good, 2, "A!"),
        "BAD_HEADER": cut(good, 0, encoded(b"{")),
        "PADDED": good + "=",
        "INJECTED": rs({**ALICE, "nick": "x\r\nx-admin: 1"}),
    }


def sets():
    return {
        "KEYS": public("rsa", "ec", "ec384", "ec521", "ed"),
        "OTHER_KEYS": public("rsa-other"),
        "RSA_KEY": public("rsa"),
        "RSA_NAMELESS": json.dumps({"keys": [{k: v for k, v in json.loads(KEYS["rsa"].export_public()).items() if k != "kid"}]}, separators=(",", ":"), sort_keys=True),
        "TWO_NAMELESS": json.dumps({"keys": [{k: v for k, v in json.loads(KEYS[n].export_public()).items() if k != "kid"} for n in ("rsa-other", "rsa")]}, separators=(",", ":"), sort_keys=True),
        "FOR_ENCRYPTION": public("rsa", use="enc"),
        "FOR_PS256": public("rsa", alg="PS256"),
    }


def fill(pages):
    known = {**tokens(), **sets()}
    for page in map(pathlib.Path, pages):
        text = re.sub(r"\{\{([A-Za-z0-9_]+)\}\}", lambda found: known[found[1]], page.read_text())
        page.write_text(text)


match sys.argv[1:]:
    case ["keys"]:
        print(json.dumps(sets(), indent=1))
    case ["token", name]:
        print(tokens()[name])
    case ["fill", *pages]:
        fill(pages)
    case _:
        sys.exit(__doc__)
