// Receives a generated room as a server would that has never seen it: every line parsed and verified, every event
// authorised by what it cites and by the resolved state before it.

import { contentHashMatches, referenceHash } from '../../../src/event/hash.js';
import type { EventId } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { receivePdu, verifyReceived } from '../../../src/event/receive.js';
import { rulesOf } from '../../../src/event/rules.js';
import { fromBase64, toBase64 } from '../../../src/lib/base64.js';
import { utf8 } from '../../../src/lib/bytes.js';
import { assert } from '../../../src/lib/errors.js';
import { checkAuthEvents } from '../../../src/room/auth/auth-events.js';
import { authorise } from '../../../src/room/auth/authorise.js';
import { authEventKeys } from '../../../src/room/auth/selection.js';
import type { AuthState } from '../../../src/room/auth/verdict.js';
import type { EventGraph } from '../../../src/room/resolution/contract.js';
import { resolve } from '../../../src/room/resolution/resolve.js';
import type { GeneratedRoom } from '../../../tools/generate/generate-room.js';
import { changeOf, type MapRoot, MapStates } from '../../room/resolution/map-states.js';

/** What a receiver found. */
export interface ReceivedRoom {
  readonly events: readonly Pdu[];
  /** What is wrong, a sentence each; empty when the room is what it says. */
  readonly faults: readonly string[];
  /** Merges at which the states that met were not equal. */
  readonly disputes: number;
  /** State at the end. */
  readonly state: ReadonlyArray<{ readonly type: string; readonly stateKey: string; readonly event: Pdu }>;
}

/** Receives a room's lines in order. */
export function receiveRoom(room: GeneratedRoom): ReceivedRoom {
  const receiver = new Receiver(room);
  for (const { line } of room.events()) receiver.receive(line);
  return receiver.result();
}

class Receiver implements EventGraph {
  readonly #room: GeneratedRoom;
  readonly #rules;
  readonly #states = new MapStates();
  readonly #events = new Map<EventId, Pdu>();
  readonly #orders = new Map<EventId, number>();
  readonly #citedBy = new Map<EventId, EventId[]>();
  readonly #after = new Map<EventId, MapRoot>();
  readonly #faults: string[] = [];
  #last: MapRoot = this.#states.empty;
  #disputes = 0;

  constructor(room: GeneratedRoom) {
    const rules = rulesOf(room.roomVersion);
    assert(rules !== undefined, 'a generated room has a known version');
    this.#room = room;
    this.#rules = rules;
  }

  receive(line: string): void {
    const received = receivePdu(utf8(line), this.#rules);
    const { pdu } = received;
    const claim = (isTrue: boolean, words: string): void => {
      if (!isTrue) this.#faults.push(`${pdu.eventId} (${pdu.type}, ${String(pdu.stateKey)}): ${words}`);
    };
    const { publicKeys } = this.#room;
    const verdict = verifyReceived(received, (server, keyId) =>
      fromBase64(publicKeys[server]?.[keyId] ?? ''),
    );
    claim(verdict.ok, `signatures: ${JSON.stringify(verdict.faults)}`);
    claim(!received.wasRedacted && contentHashMatches(pdu.json, this.#rules), 'the content hash is wrong');
    claim(!this.#events.has(pdu.eventId), 'the id is taken');
    const known = [...pdu.prevEvents, ...pdu.authEvents].every((id) => this.#events.has(id));
    claim(known, 'it refers to an event that has not come');
    if (!known) return;
    this.#checkReferences(pdu, claim);
    this.#checkAuthorisation(pdu, claim);
    this.#keep(pdu);
  }

  result(): ReceivedRoom {
    const state = [...this.#last.entries.values()].map(({ type, stateKey, eventId }) => {
      return { type, stateKey, event: this.#known(eventId) };
    });
    return { events: [...this.#events.values()], faults: this.#faults, disputes: this.#disputes, state };
  }

  event(id: EventId): Pdu | undefined {
    return this.#events.get(id);
  }

  isRejected(): boolean {
    return false;
  }

  order(id: EventId): number {
    return this.#orders.get(id) ?? -1;
  }

  citedBy(id: EventId): Iterable<EventId> {
    return this.#citedBy.get(id) ?? [];
  }

  /** Depth, and in versions with hashed references every hash. */
  #checkReferences(pdu: Pdu, claim: (isTrue: boolean, words: string) => void): void {
    const depth = 1 + Math.max(0, ...pdu.prevEvents.map((id) => this.#known(id).depth));
    claim(pdu.depth === depth, `the depth is ${pdu.depth}, not ${depth}`);
    if (!this.#rules.referencesAreHashed) return;
    for (const name of ['prev_events', 'auth_events'] as const) {
      const ids = name === 'prev_events' ? pdu.prevEvents : pdu.authEvents;
      const expected = ids.map((id) => [
        id,
        { sha256: toBase64(referenceHash(this.#known(id).json, this.#rules)) },
      ]);
      claim(JSON.stringify(pdu.json[name]) === JSON.stringify(expected), `the hashes in ${name} are wrong`);
    }
  }

  #checkAuthorisation(pdu: Pdu, claim: (isTrue: boolean, words: string) => void): void {
    const inputs = pdu.prevEvents.map((id) => this.#after.get(id) ?? this.#states.empty);
    if (new Set(inputs.map((root) => this.#states.hash(root))).size > 1) this.#disputes += 1;
    const before = resolve(this.#rules, inputs, this.#states, this).root;
    const selected = authEventKeys(pdu).flatMap(([type, key]) => this.#states.get(before, type, key) ?? []);
    claim(
      JSON.stringify(selected) === JSON.stringify(pdu.authEvents),
      `auth_events are ${pdu.authEvents.join(' ')}, the state before says ${selected.join(' ')}`,
    );
    const cited = pdu.authEvents.map((id) => this.#known(id));
    const form = checkAuthEvents(pdu, cited, () => false);
    claim(form.allowed, `auth_events: ${form.reason}`);
    const state: AuthState = {
      get: (type, stateKey) => {
        const id = this.#states.get(before, type, stateKey);
        return id === undefined ? undefined : this.#known(id);
      },
    };
    const allowed = authorise(pdu, state);
    claim(allowed.allowed, `by the state before: ${allowed.reason}`);
    this.#last = pdu.stateKey === undefined ? before : this.#states.update(before, [changeOf(pdu)]);
    this.#after.set(pdu.eventId, this.#last);
  }

  #keep(pdu: Pdu): void {
    this.#orders.set(pdu.eventId, this.#orders.size);
    this.#events.set(pdu.eventId, pdu);
    for (const id of pdu.authEvents) this.#citedBy.set(id, [...(this.#citedBy.get(id) ?? []), pdu.eventId]);
  }

  #known(id: EventId): Pdu {
    const pdu = this.#events.get(id);
    assert(pdu !== undefined, `${id} has come`);
    return pdu;
  }
}
