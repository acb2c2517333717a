// Who makes a request.

import type { UserId } from '../event/ids.js';

/** Who is calling, by the access token. */
export interface Requester {
  readonly userId: UserId;
  readonly deviceId: string;
  /** SHA-256 of the access token, unpadded URL-safe base64: the key of its record. */
  readonly tokenHash: string;
  readonly isAdmin: boolean;
}
