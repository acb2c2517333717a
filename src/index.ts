// What the package exports: the engine, the answers it gives, its errors.
//
//   import { openEngine } from 'stateroom';
//
//   const engine = await openEngine({ path: './data' });
//   const verdict = await engine.receive(pdu, { from: 'example.org' });
//   engine.currentState(roomId).get('m.room.topic');
//   await engine.close();

export { Engine, type EngineOptions, openEngine, type ReceiveOptions } from './engine/engine.js';
export type { LocalTemplate } from './engine/local-events.js';

export {
  VERDICT_CODES,
  type Verdict,
  type VerdictCode,
  type VerdictCounts,
  type VerdictKind,
} from './core/outcome.js';
export type { ReleasedGroup, ReleaseOptions } from './core/release.js';
export { verifierThreads } from './core/verifier.js';

export type { Reader, Side } from './reader/reader.js';
export type { StateView } from './reader/state-view.js';
export type { StateChange } from './room/resolution/contract.js';
export type { KnownEvent } from './room/graph/known-events.js';
export type { HorizonLimits } from './room/graph/horizon.js';
export type { StateReset, TraceRecord } from './room/graph/state-resolver.js';
export type { MemberEntry, StateEntry } from './room/state/room-states.js';
export { MEMBERSHIPS, type Membership } from './room/state/value.js';
export type { EventRow, RoomRow, StoredVerdict } from './store/records.js';

export type { EventId, RoomId, ServerName, UserId } from './event/ids.js';
export type { JsonObject, JsonValue } from './event/json.js';
export type { Pdu } from './event/pdu.js';
export { type RoomVersion, type RoomVersionRules, rulesOf } from './event/rules.js';
export { createSigningKey, type SigningKey } from './event/signing.js';
export type { PublicKeys } from './event/verify.js';

export { errorCodes, type ErrorFields, StateroomError } from './lib/errors.js';
