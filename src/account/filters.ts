// Filters that clients upload once and name by id afterwards. The id is made of what the filter says, so that the
// same filter uploaded at every start is one record.
//
//   !user/ID    stateroom.filter / id    the filter
//
// Source: client-server API, "Filtering".

import { createHash } from 'node:crypto';
import type { UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { toBase64Url } from '../lib/base64.js';
import { type AccountParts, userRoom } from './parts.js';

const FILTER = 'stateroom.filter';
const ID_LENGTH = 22;

export class Filters {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  get(userId: UserId, filterId: string): JsonObject | undefined {
    return this.#parts.engine.internal.get(userRoom(userId), FILTER, filterId);
  }

  /** Keeps a filter that was found valid. @returns its id, which never starts with `{` */
  async add(userId: UserId, filter: JsonObject): Promise<string> {
    const hash = createHash('sha256').update(JSON.stringify(filter)).digest();
    const filterId = toBase64Url(hash).slice(0, ID_LENGTH);
    if (this.get(userId, filterId) === undefined) {
      await this.#parts.engine.internal.write([
        { roomId: userRoom(userId), type: FILTER, stateKey: filterId, content: filter },
      ]);
    }
    return filterId;
  }
}
