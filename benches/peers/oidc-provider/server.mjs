// oidc-provider as an issuer of workload tokens: a client with a secret gets an RS256 JWT with
// `client_credentials`, for a resource of its own. Its adapter is the one that keeps everything in
// memory; of a JWT it keeps nothing.
//
//     node server.mjs PORT PROCESSES CLIENT_SECRET
import cluster from 'node:cluster';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, processes, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

if (cluster.isPrimary && Number(processes) > 1) {
  const env = settings();
  for (let count = 0; count < Number(processes); count += 1) cluster.fork(env);
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit(0);
  });
} else {
  const { BENCH_KEY, BENCH_COOKIE } = cluster.isPrimary ? settings() : process.env;
  serve(JSON.parse(BENCH_KEY), BENCH_COOKIE);
}

// All processes sign with one key.
function settings() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' };
  return { BENCH_KEY: JSON.stringify(key), BENCH_COOKIE: randomBytes(32).toString('hex') };
}

function serve(key, cookie) {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'bench',
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
    }],
    jwks: { keys: [key] },
    cookies: { keys: [cookie] },
    scopes: ['workload'],
    ttl: { ClientCredentials: 3600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:example:workload',
        getResourceServerInfo: () => ({
          scope: 'workload',
          audience: 'aws.workload.identity',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 3600,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  const server = provider.listen(Number(port), '127.0.0.1');
  // The other end keeps its connections.
  server.keepAliveTimeout = 3600 * 1000;
}
