// The events that relate to an event (`m.relates_to`), as one user gets to see them.
//
// The store knows who names whom, whatever became of it; what counts is decided here. A child that was redacted, or
// whose sender is ignored, is none. Only the newest are looked at: an event that thousands relate to costs no more.
//
// Source: client-server API, "Forming relationships between events", "Aggregations of child events".

import { redactionsOf } from '../engine/redactions.js';
import type { EventId, UserId } from '../event/ids.js';
import { isObject, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { isErasedFor } from './erasure.js';
import type { Homeserver } from './homeserver.js';
import type { RoomViewer } from './visibility.js';

/** Children of one event that are looked at, the newest. */
export const CHILDREN_MAX = 1_000;

export interface ChildEvent {
  readonly event: KnownEvent;
  readonly relType: string;
  /** Its place in the room's timeline. */
  readonly order: number;
}

/** How an event relates to another, where it says so. */
export function relationOf({
  content,
}: Pdu): { readonly relType: string; readonly eventId: string } | undefined {
  const relation = own(content, 'm.relates_to');
  if (!isObject(relation)) return undefined;
  const relType = own(relation, 'rel_type');
  const eventId = own(relation, 'event_id');
  return typeof relType === 'string' && typeof eventId === 'string' ? { relType, eventId } : undefined;
}

/** Finds the children of a room's events for one user. */
export class ChildEvents {
  readonly #home: Homeserver;
  readonly #viewer: RoomViewer;
  readonly #ignored: ReadonlySet<string>;
  #left: number;

  /** @param lookedAtMax children of all events together that are looked at */
  constructor(home: Homeserver, viewer: RoomViewer, userId: UserId, lookedAtMax: number) {
    this.#home = home;
    this.#viewer = viewer;
    this.#ignored = home.accounts.accountData.ignoredUsers(userId);
    this.#left = lookedAtMax;
  }

  /** Were as many looked at as may be? There may be more. */
  get isUsedUp(): boolean {
    return this.#left === 0;
  }

  /** The children of an event, in the order of the timeline. O(children), which are bounded. */
  async of(parent: EventId): Promise<ChildEvent[]> {
    const { engine } = this.#home;
    const seqs: number[] = [];
    const limit = Math.min(CHILDREN_MAX, this.#left);
    if (limit === 0 || (await engine.store.childless.has(parent))) return [];
    for await (const seq of engine.store.edges(parent, 'relation', { reverse: true, limit })) seqs.push(seq);
    this.#left -= seqs.length;
    const children = seqs.flatMap((seq) => this.#child(seq, parent) ?? []);
    if (children.length === 0) return [];
    const redactions = await redactionsOf(engine).of(children.map(({ event }) => event));
    return children
      .filter(({ event }) => !redactions.has(event.pdu.eventId))
      .sort((a, b) => a.order - b.order);
  }

  #child(seq: number, parent: EventId): ChildEvent | undefined {
    const event = this.#home.engine.reader.events.at(seq);
    const relation = event && relationOf(event.pdu);
    if (event === undefined || relation?.eventId !== parent) return undefined;
    const order = event.timelineOrder ?? event.seq;
    if (this.#ignored.has(event.pdu.sender) || !this.#viewer.canSee(event, order)) return undefined;
    return isErasedFor(this.#home, this.#viewer, event)
      ? undefined
      : { event, relType: relation.relType, order };
  }
}
