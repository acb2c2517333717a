// What an authorisation says: allowed or not, by which rule of which room version, and why.

import type { EventId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersion } from '../../event/rules.js';

/** State as the auth rules read it: the event now at a key, or undefined. Never a whole map. */
export interface AuthState {
  get(type: string, stateKey: string): Pdu | undefined;
}

/** Outcome of the authorisation rules for one event against one state. */
export interface AuthVerdict {
  readonly allowed: boolean;
  readonly roomVersion: RoomVersion;
  /** The deciding rule's number in that version's "Authorization rules", e.g. `5.3.3`. */
  readonly rule: string;
  /** One sentence for people: who may not do what, with the levels compared. */
  readonly reason: string;
  /** The events of the state that the decision rested on (create, power levels, memberships, join rules, ...). */
  readonly restedOn: readonly EventId[];
  /** The smallest change that would let it pass, where that can be said ("@bob needs level 50, has 0"). */
  readonly remedy?: string;
}
