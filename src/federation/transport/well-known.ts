// Delegation: `https://HOST/.well-known/matrix/server` names the server that answers for a host name.
//
// Answers are kept as long as their headers say, within bounds; failures for a while that doubles, up to an hour.
//
// Source: server-server API, "Server discovery", step 3; RFC 9111, section 5.2.2 and 5.3.

import { isObject, own, parseJson } from '../../event/json.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { StateroomError } from '../../lib/errors.js';
import type { HttpAnswer, HttpsClient } from './https-client.js';
import { parseHostAndPort } from './target.js';

const PATH = '/.well-known/matrix/server';
const TIMEOUT_MS = 10_000;
const BYTES_MAX = 51_200;
const REDIRECTS_MAX = 5;
const HOSTS_KEPT_MAX = 20_000;
const NAME_LENGTH_MAX = 255;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const KEPT_MS = 24 * HOUR_MS;
const KEPT_MS_MIN = 5 * MINUTE_MS;
const KEPT_MS_MAX = 48 * HOUR_MS;
const FAILURE_MS = 2 * MINUTE_MS;
const FAILURE_MS_MAX = HOUR_MS;

interface Kept {
  /** `m.server`; undefined after a failure. */
  readonly delegate: string | undefined;
  readonly until: number;
  readonly failures: number;
}

export class WellKnown {
  readonly #http: Pick<HttpsClient, 'request'>;
  readonly #now: () => number;
  readonly #kept = new ClockCache<string, Kept>(HOSTS_KEPT_MAX);
  readonly #underWay = new Map<string, Promise<string | undefined>>();

  constructor(http: Pick<HttpsClient, 'request'>, now: () => number) {
    this.#http = http;
    this.#now = now;
  }

  /** The server that answers for a host: `host` or `host:port`. Undefined where nothing valid is said. */
  delegateOf(host: string): Promise<string | undefined> {
    const kept = this.#kept.get(host);
    if (kept !== undefined && kept.until > this.#now()) return Promise.resolve(kept.delegate);
    const underWay = this.#underWay.get(host);
    if (underWay !== undefined) return underWay;
    const asking = this.#ask(host, kept?.failures ?? 0).finally(() => this.#underWay.delete(host));
    this.#underWay.set(host, asking);
    return asking;
  }

  async #ask(host: string, failuresBefore: number): Promise<string | undefined> {
    let answer: HttpAnswer | undefined;
    try {
      answer = await this.#followed(host);
    } catch (error) {
      if (!(error instanceof StateroomError)) throw error;
    }
    const delegate = answer === undefined ? undefined : delegateIn(answer);
    const failures = delegate === undefined ? failuresBefore + 1 : 0;
    const keptMs =
      delegate === undefined || answer === undefined
        ? Math.min(FAILURE_MS * 2 ** Math.min(failures - 1, 10), FAILURE_MS_MAX)
        : freshMs(answer, this.#now());
    this.#kept.set(host, { delegate, until: this.#now() + keptMs, failures }, 1);
    return delegate;
  }

  /** The answer behind all redirections. @throws FEDERATION_UNREACHABLE, FEDERATION_ADDRESS_FORBIDDEN */
  async #followed(host: string): Promise<HttpAnswer | undefined> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    let url = new URL(`https://${host}${PATH}`);
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
      const target = parseHostAndPort(url.host);
      if (url.protocol !== 'https:' || url.username !== '' || target === undefined) return undefined;
      const answer = await this.#http.request(
        { host: target.host, port: target.port ?? 443, hostHeader: url.host, certificateName: target.host },
        { method: 'GET', path: `${url.pathname}${url.search}`, headers: {}, bytesMax: BYTES_MAX, signal },
      );
      if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      const location = answer.headers.get('location') ?? '';
      if (!URL.canParse(location, url.href)) return undefined;
      url = new URL(location, url);
    }
    return undefined;
  }
}

function delegateIn({ status, bytes }: HttpAnswer): string | undefined {
  if (status !== 200) return undefined;
  try {
    const body = parseJson(bytes);
    const server = isObject(body) ? own(body, 'm.server') : undefined;
    if (typeof server !== 'string' || server.length > NAME_LENGTH_MAX) return undefined;
    return parseHostAndPort(server) === undefined ? undefined : server;
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

/** For how long the answer is good. */
function freshMs({ headers }: HttpAnswer, now: number): number {
  const control = headers.get('cache-control');
  const expires = headers.get('expires');
  let ms = KEPT_MS;
  if (control !== undefined) {
    const maxAge = /(?:^|[,\s])max-age\s*=\s*"?([0-9]{1,12})/i.exec(control)?.[1];
    if (maxAge !== undefined) ms = Number(maxAge) * 1_000;
    if (/(?:^|[,\s])no-(?:store|cache)(?:$|[,\s=])/i.test(control)) ms = 0;
  } else if (expires !== undefined) {
    // What is no date, `0` for instance, is a time that is over.
    const at = /^[A-Za-z]{3,9}, /.test(expires) ? Date.parse(expires) : Number.NaN;
    ms = Number.isNaN(at) ? 0 : at - now;
  }
  return Math.min(Math.max(ms, KEPT_MS_MIN), KEPT_MS_MAX);
}
