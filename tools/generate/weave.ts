// Turns a script into signed events: previous events, auth events, depths, times, hashes, ids, signatures.
//
// It keeps of the state only what authorises: create, power levels, join rules and members. A branch is a small
// map over the trunk's; at a merge the newest event of each key stands, which is what resolution makes of a
// script that keeps its promise (see script.ts).

import { buildEvent } from '../../src/event/build.js';
import { canonicalJson } from '../../src/event/canonical.js';
import { referenceHash } from '../../src/event/hash.js';
import { type EventId, parseEventId, parseRoomId, type RoomId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { RoomVersionRules } from '../../src/event/rules.js';
import type { SigningKey } from '../../src/event/signing.js';
import { assert } from '../../src/lib/errors.js';
import { authEventKeys } from '../../src/room/auth/selection.js';
import { Random } from './random.js';
import type { EventStep, ScriptStep } from './script.js';

/** One event of a generated room. */
export interface GeneratedEvent {
  readonly pdu: Pdu;
  /** The event in federation format, as canonical JSON without a newline. */
  readonly line: string;
}

/** What the weaver must know of the room. */
export interface Loom {
  readonly rules: RoomVersionRules;
  readonly seed: string;
  /** The longest time between two events. */
  readonly gapMsMax: number;
  readonly keyOf: (server: string) => SigningKey;
}

/** An earlier event as a later one names it: before version 3 with its hash. */
interface Reference {
  readonly id: EventId;
  readonly hash: Uint8Array | undefined;
}

interface Branch {
  /** Ends of the branch: several right after a merge. */
  ends: readonly Reference[];
  depth: number;
  /** Authorising state that differs from the trunk's, by type and state key. */
  readonly changes: Map<string, Reference>;
}

// 2025-01-01T00:00:00Z
const startMs = 1_735_689_600_000;

const authorisingTypes = ['m.room.create', 'm.room.power_levels', 'm.room.join_rules', 'm.room.member'];

/** Weaves a script into events, one at a time, in an order in which each follows all that it refers to. */
export function* weave(script: Iterable<ScriptStep>, loom: Loom): Generator<GeneratedEvent> {
  const weaver = new Weaver(loom);
  for (const step of script) {
    if (step.kind === 'fork') weaver.fork(step.branches);
    else if (step.kind === 'merge') weaver.merge();
    else yield weaver.event(step);
  }
}

class Weaver {
  readonly #loom: Loom;
  readonly #random: Random;
  readonly #trunk = new Map<string, Reference>();
  #branches: Branch[] = [{ ends: [], depth: 0, changes: new Map() }];
  #roomId: RoomId | undefined;
  #nowMs = startMs;
  #count = 0;

  constructor(loom: Loom) {
    this.#loom = loom;
    this.#random = new Random(loom.seed, 'weave');
  }

  fork(branches: number): void {
    const [trunk] = this.#branches;
    assert(trunk !== undefined && this.#branches.length === 1, 'a fork starts outside forks');
    this.#settle(trunk);
    this.#branches = Array.from({ length: branches }, () => ({
      ...trunk,
      changes: new Map<string, Reference>(),
    }));
  }

  merge(): void {
    for (const branch of this.#branches) this.#settle(branch);
    const ends = this.#branches.flatMap((branch) => branch.ends);
    const depth = Math.max(...this.#branches.map((branch) => branch.depth));
    this.#branches = [{ ends, depth, changes: new Map() }];
  }

  event(step: EventStep): GeneratedEvent {
    const { rules } = this.#loom;
    const branch = this.#branches[step.branch];
    assert(branch !== undefined, 'a step continues a branch that is there');
    const pdu = this.#build(step, branch);
    this.#roomId = pdu.roomId;

    const hash = rules.referencesAreHashed ? referenceHash(pdu.json, rules) : undefined;
    const reference = { id: pdu.eventId, hash };
    branch.ends = [reference];
    branch.depth += 1;
    if (step.stateKey !== undefined && authorisingTypes.includes(step.type)) {
      branch.changes.set(nameOf(step.type, step.stateKey), reference);
    }
    return { pdu, line: canonicalJson(pdu.json, rules) };
  }

  #build(step: EventStep, branch: Branch): Pdu {
    const { rules, gapMsMax, keyOf } = this.#loom;
    const { userId, server } = step.sender;
    this.#nowMs += this.#random.between(1, gapMsMax);
    this.#count += 1;
    const roomId = this.#roomId ?? this.#firstRoomId(server);
    const eventId = this.#eventIdField(server);
    const authEvents = this.#authEvents(step, branch);
    const hashes = new Map([...branch.ends, ...authEvents].map(({ id, hash }) => [id, hash]));
    return buildEvent(
      {
        type: step.type,
        sender: userId,
        content: step.content,
        depth: branch.depth + 1,
        originServerTs: this.#nowMs,
        prevEvents: branch.ends.map(({ id }) => id),
        authEvents: authEvents.map(({ id }) => id),
        ...(roomId === undefined ? {} : { roomId }),
        ...(eventId === undefined ? {} : { eventId }),
        ...(step.stateKey === undefined ? {} : { stateKey: step.stateKey }),
      },
      { rules, server, key: keyOf(server), referenceHash: (id) => hashes.get(id) },
    );
  }

  #authEvents(step: EventStep, branch: Branch): Reference[] {
    const { rules } = this.#loom;
    const template = { rules, ...step, sender: step.sender.userId, stateKey: step.stateKey };
    return authEventKeys(template).flatMap(([type, stateKey]) => {
      const name = nameOf(type, stateKey);
      return branch.changes.get(name) ?? this.#trunk.get(name) ?? [];
    });
  }

  /** The create event's: made up here, but for versions that derive it from that event. */
  #firstRoomId(server: string): RoomId | undefined {
    if (this.#loom.rules.roomIdIsCreateHash) return undefined;
    const roomId = parseRoomId(`!${this.#random.token(18)}:${server}`);
    assert(roomId !== undefined, 'a made-up room id is one');
    return roomId;
  }

  #eventIdField(server: string): EventId | undefined {
    if (this.#loom.rules.eventIdFormat !== 'field') return undefined;
    const eventId = parseEventId(`$${this.#nowMs}${this.#count}${this.#random.token(5)}:${server}`, 'field');
    assert(eventId !== undefined, 'a made-up event id is one');
    return eventId;
  }

  #settle(branch: Branch): void {
    for (const [name, reference] of branch.changes) this.#trunk.set(name, reference);
    branch.changes.clear();
  }
}

function nameOf(type: string, stateKey: string): string {
  return `${type}\n${stateKey}`;
}
