// The GitHub Actions client, `getIDToken` of `@actions/core`, unchanged; `jose` verifies.
//
//     node actions_core.mjs CASE.json    with the request URL and token in GitHub's variables

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";

// Node.js 18 has it, but not as a global; `jose` looks for the global.
globalThis.crypto ??= webcrypto;
const core = await import("@actions/core");
const { createRemoteJWKSet, jwtVerify } = await import("jose");

const run = JSON.parse(readFileSync(process.argv[2], "utf8"));

const token = await core.getIDToken(run.audience);

const discovery = await (await fetch(`${run.issuer}/.well-known/openid-configuration`)).json();
assert.equal(discovery.issuer, run.issuer);
const keys = createRemoteJWKSet(new URL(discovery.jwks_uri));
const { payload, protectedHeader } = await jwtVerify(token, keys, {
  issuer: run.issuer,
  audience: run.audience,
  algorithms: [run.algorithm],
  typ: "JWT",
  requiredClaims: ["sub", "iat", "nbf", "exp", "jti"],
});

assert.deepEqual(Object.keys(protectedHeader).sort(), ["alg", "kid", "typ"]);
const { iss, aud, iat, nbf, exp, jti, ...rest } = payload;
assert.equal(aud, run.audience, "aud is a plain string");
assert.equal(nbf, iat - 5);
assert.match(jti, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "jti is a UUID");
assert.ok([iat, nbf, exp].every(Number.isInteger), "times are integers");
// The subject and the nine `terraform_*` claims, and nothing else.
assert.deepEqual(rest, run.claims);

await assert.rejects(core.getIDToken(run.refused_audience), /403/);
