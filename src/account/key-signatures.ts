// Signatures that were added to a key after it was uploaded. They are kept with the signer, apart from the
// key: what users sign of their own everybody sees, what they sign of others they alone.
//
//   !user/SIGNER    stateroom.key_signature / user, key    { signatures: { key id: signature } }
//
// Source: client-server API, "Cross-signing", POST /keys/signatures/upload.

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { withSignatures } from './key-objects.js';
import { type AccountParts, joinKey, userRoom } from './parts.js';

const KEY_SIGNATURE = 'stateroom.key_signature';

export class KeySignatures {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /** What `signer` added to a key of `owner`, by the id of the signing key. */
  of(signer: UserId, owner: UserId, key: string): JsonObject {
    const content = this.#parts.engine.internal.get(userRoom(signer), KEY_SIGNATURE, joinKey(owner, key));
    const signatures = content === undefined ? undefined : own(content, 'signatures');
    return isObject(signatures) ? signatures : {};
  }

  /** A key as `viewer` is to see it. @param viewer undefined for somebody of another server */
  shown(json: JsonObject, owner: UserId, key: string, viewer: UserId | undefined): JsonObject {
    const forAll = withSignatures(json, owner, this.of(owner, owner, key));
    if (viewer === undefined || viewer === owner) return forAll;
    return withSignatures(forAll, viewer, this.of(viewer, owner, key));
  }

  record(signer: UserId, owner: UserId, key: string, signatures: JsonObject): InternalRecord {
    const stateKey = joinKey(owner, key);
    return { roomId: userRoom(signer), type: KEY_SIGNATURE, stateKey, content: { signatures } };
  }

  /** What users added to keys of their own that are no more. */
  removalRecords(userId: UserId, key: string): readonly InternalRecord[] {
    const stateKey = joinKey(userId, key);
    const roomId = userRoom(userId);
    const isThere = this.#parts.engine.internal.get(roomId, KEY_SIGNATURE, stateKey) !== undefined;
    return isThere ? [{ roomId, type: KEY_SIGNATURE, stateKey, content: undefined }] : [];
  }
}
