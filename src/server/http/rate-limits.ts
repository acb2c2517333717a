// Rate limits: a bucket of tokens for each class and whoever asks, in memory that has a bound.
//
// A bucket holds `burst` tokens and fills by `perSecond`; a request takes one. Beyond the bound a bucket goes that
// was not used lately, which by then is full again or nearly so.

import type { Rate, ServerConfig } from '../config/config.js';
import type { RateLimit } from '../../client/route.js';
import { RecentMap } from '../../lib/recent-map.js';

const BUCKETS_MAX = 50_000;

interface Bucket {
  tokens: number;
  /** When the tokens were counted, milliseconds. */
  at: number;
}

export class RateLimits {
  readonly #rates: ServerConfig['rateLimits'];
  readonly #now: () => number;
  readonly #bucketsMax: number;
  readonly #buckets = new RecentMap<string, Bucket>();

  /**
   * @param rates undefined: nothing is limited
   * @param now milliseconds, only ever growing
   */
  constructor(rates: ServerConfig['rateLimits'], now: () => number, bucketsMax = BUCKETS_MAX) {
    this.#rates = rates;
    this.#now = now;
    this.#bucketsMax = bucketsMax;
  }

  /** Buckets kept now. */
  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes a token for a request.
   * @param who a user id, an address, an account or another server
   * @returns 0 when there was one, else in how many milliseconds there will be
   */
  take(limit: RateLimit | 'password' | 'federation', who: string): number {
    const rate = limit === 'none' ? undefined : this.#rates?.[limit];
    if (rate === undefined) return 0;
    const key = `${limit} ${who}`;
    const now = this.#now();
    const bucket = this.#filled(key, rate, now);
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / rate.perSecond) * 1_000);
    bucket.tokens -= 1;
    return 0;
  }

  /** Puts a token back: what it was taken for is not to count. */
  giveBack(limit: Exclude<RateLimit, 'none'> | 'password' | 'federation', who: string): void {
    const bucket = this.#buckets.get(`${limit} ${who}`);
    const burst = this.#rates?.[limit].burst ?? 0;
    if (bucket !== undefined) bucket.tokens = Math.min(burst, bucket.tokens + 1);
  }

  #filled(key: string, { perSecond, burst }: Rate, now: number): Bucket {
    const bucket = this.#buckets.get(key) ?? this.#begun(key, burst, now);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1_000) * perSecond);
    bucket.at = now;
    return bucket;
  }

  #begun(key: string, burst: number, now: number): Bucket {
    const bucket = { tokens: burst, at: now };
    this.#buckets.trim(this.#bucketsMax - 1);
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

/** Whom an address stands for: one who has an IPv6 network has 2^64 addresses. */
export function networkOf(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped !== undefined || !ip.includes(':')) return mapped ?? ip;
  const [head = '', tail] = ip.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest].slice(0, 4).join(':');
}
