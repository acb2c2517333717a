// Profiles of other servers' users, asked for when a client does, and kept for a short while.
//
// Source: server-server API, GET /query/profile.

import { serverOf, type UserId } from '../../event/ids.js';
import { type JsonObject, own } from '../../event/json.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { RefusedError } from '../errors.js';
import type { UsersContext } from './context.js';

interface KeptProfile {
  readonly profile: JsonObject | undefined;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** What a profile takes in memory without its fields, about, and how much more these take than their text. */
const PROFILE_BYTES = 400;
const TEXT_FACTOR = 3;

export class RemoteProfiles {
  readonly #context: UsersContext;
  readonly #kept: ClockCache<UserId, KeptProfile>;
  readonly #asking = new Map<UserId, Promise<JsonObject | undefined>>();

  constructor(context: UsersContext) {
    this.#context = context;
    this.#kept = new ClockCache(context.options.profilesBytesMax);
  }

  /**
   * The whole profile of a user of another server; undefined where their server knows no such user.
   * @throws FEDERATION_UNREACHABLE, FEDERATION_REFUSED, FEDERATION_BAD_ANSWER, FEDERATION_BACKING_OFF
   */
  async get(userId: UserId): Promise<JsonObject | undefined> {
    const kept = this.#kept.get(userId);
    if (kept !== undefined && kept.until > this.#context.now()) return kept.profile;
    const asking = this.#asking.get(userId) ?? this.#ask(userId);
    this.#asking.set(userId, asking);
    try {
      return await asking;
    } finally {
      this.#asking.delete(userId);
    }
  }

  async #ask(userId: UserId): Promise<JsonObject | undefined> {
    const { remote, options, now } = this.#context;
    const limits = { timeoutMs: options.profileTimeoutMs, bytesMax: options.profileBytesMax };
    let profile: JsonObject | undefined;
    try {
      profile = shownFields(await remote.queryProfile(serverOf(userId), userId, undefined, limits));
    } catch (error) {
      if (!(error instanceof RefusedError && error.status === 404)) throw error;
    }
    const bytes = PROFILE_BYTES + TEXT_FACTOR * JSON.stringify(profile ?? {}).length;
    this.#kept.set(userId, { profile, until: now() + options.profileKeptMs }, bytes);
    return profile;
  }
}

/** The names and pictures that are none are left out; other fields are as they are. */
function shownFields(answer: JsonObject): JsonObject {
  const isShown = (name: string): boolean =>
    (name !== 'displayname' && name !== 'avatar_url') || typeof own(answer, name) === 'string';
  return Object.fromEntries(Object.entries(answer).filter(([name]) => isShown(name)));
}
