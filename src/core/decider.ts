// Decides events in their turn, synchronously, and hands the decisions to the writer.
//
// What a decision makes known is known at once to the next one, before it is on disk; callers are answered
// only after the commit. Those that waited for the event are called back into their room's lane.

import type { EventId, RoomId } from '../event/ids.js';
import type { Pdu } from '../event/pdu.js';
import { type Horizon, HORIZON_QUEUE, type HorizonRow } from '../room/graph/horizon.js';
import { type KnownEvents, pduOfRow } from '../room/graph/known-events.js';
import type { Room } from '../room/graph/room.js';
import { ResolutionTooLargeError } from '../room/resolution/errors.js';
import type { QueueChange } from '../store/commit-group.js';
import type { Store } from '../store/store.js';
import { chainOf, givenStateOf, groupEvent, knownEvent, withRoomState } from './decision.js';
import type { Judge, Judgement, VerifiedEvent } from './judge.js';
import { noVerdicts, VERDICT_CODES, type Verdict, type VerdictKind } from './outcome.js';
import type { Refusal } from './refusal.js';
import type { Writer } from './writer.js';

/** How a caller learns what became of its event. */
export interface Settle {
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

export interface DeciderParts {
  readonly store: Store;
  readonly known: KnownEvents;
  readonly horizon: Horizon;
  readonly judge: Judge;
  readonly writer: Writer;
  /** An event in the horizon waits for nothing more: give it a turn in its room's lane. */
  readonly callBack: (roomId: RoomId, position: number) => void;
  /** What became of an event that was answered `waiting` before. */
  readonly onLateVerdict: (verdict: Verdict) => void;
}

export class Decider {
  readonly #parts: DeciderParts;
  /** Rows put aside whose commit is still under way. */
  readonly #unwritten = new Map<number, HorizonRow>();
  /** Final verdicts so far. */
  readonly counts = noVerdicts();

  constructor(parts: DeciderParts) {
    this.#parts = parts;
  }

  /** Drops an event: nothing of it is stored. */
  refuse({ code, reason, eventId, roomId }: Refusal): Verdict {
    this.counts.dropped++;
    return { verdict: 'dropped', code, reason, eventId, roomId, seq: undefined };
  }

  /** Decides a verified event from outside. */
  decide(event: VerifiedEvent, settle: Settle): void {
    const { eventId } = event.pdu;
    const known = this.#parts.known.get(eventId);
    if (known !== undefined) {
      this.counts.duplicate++;
      const verdict = verdictOf('duplicate', 'DUPLICATE', VERDICT_CODES.DUPLICATE, event.pdu);
      this.#submit({ ...verdict, seq: known.seq, known: known.verdict }, settle);
    } else if (this.#parts.horizon.has(eventId)) {
      this.#submit(verdictOf('waiting', 'WAITING', VERDICT_CODES.WAITING, event.pdu), settle);
    } else {
      this.#judge(event, settle, []);
    }
  }

  /** Decides an event of this server: it is stored when it is accepted, else not at all. Says which. */
  decideLocal(event: VerifiedEvent, settle: Settle): boolean {
    const { judgement, room } = this.#parts.judge.judge(event);
    if (judgement.kind === 'stored' && judgement.verdict === 'accepted') {
      this.#store(event, judgement, room, settle, []);
      return true;
    }
    const { code, reason } = judgement.kind === 'waiting' ? waitingFor(judgement.missing) : judgement;
    const rule = judgement.kind === 'stored' ? judgement.rule : undefined;
    const { eventId, roomId } = event.pdu;
    const refused = this.refuse({ code, reason, eventId, roomId });
    settle.resolve(rule === undefined ? refused : { ...refused, rule });
    return false;
  }

  /** Decides an event of the horizon that waits for nothing more. */
  decideReady(position: number): void {
    const { horizon, store } = this.#parts;
    const row = this.#unwritten.get(position) ?? store.queued<HorizonRow>(HORIZON_QUEUE, position);
    const taken = horizon.take(position);
    if (row === undefined) return;
    const event: VerifiedEvent = {
      pdu: pduOfRow(row),
      bytes: row.bytes,
      isRedacted: row.isRedacted,
      receivedFrom: row.receivedFrom,
      receivedAt: row.receivedAt,
      asOutlier: row.asOutlier,
      givenState: row.givenState,
    };
    this.#judge(event, { resolve: this.#parts.onLateVerdict, reject: () => undefined }, [taken]);
  }

  #judge(event: VerifiedEvent, settle: Settle, queues: readonly QueueChange[]): void {
    const { judgement, room } = this.#parts.judge.judge(event);
    if (judgement.kind === 'stored') this.#store(event, judgement, room, settle, queues);
    else if (judgement.kind === 'waiting') this.#wait(event, judgement.missing, settle, queues);
    else this.#drop(event, judgement, settle, queues);
  }

  #drop(
    { pdu }: VerifiedEvent,
    { code, reason }: { readonly code: string; readonly reason: string },
    settle: Settle,
    queues: readonly QueueChange[],
  ): void {
    const verdict = this.refuse({ code, reason, eventId: pdu.eventId, roomId: pdu.roomId });
    this.#submit(verdict, settle, queues);
  }

  #wait(
    event: VerifiedEvent,
    missing: readonly EventId[],
    settle: Settle,
    queues: readonly QueueChange[],
  ): void {
    const { horizon, writer } = this.#parts;
    const { pdu } = event;
    const position = writer.nextQueuePosition();
    const row: HorizonRow = {
      roomId: pdu.roomId,
      roomVersion: pdu.rules.version,
      eventId: pdu.eventId,
      missing,
      isRedacted: event.isRedacted,
      receivedFrom: event.receivedFrom,
      receivedAt: event.receivedAt,
      asOutlier: event.asOutlier,
      givenState: event.givenState,
      bytes: event.bytes,
    };
    const added = horizon.add(position, row);
    if (added === undefined) {
      this.#drop(event, { code: 'HORIZON_FULL', reason: VERDICT_CODES.HORIZON_FULL }, settle, queues);
      return;
    }
    this.#unwritten.set(position, row);
    const { code, reason } = waitingFor(missing);
    this.#submit(verdictOf('waiting', code, reason, pdu), settle, [...queues, added], () =>
      this.#unwritten.delete(position),
    );
  }

  /** Makes the event known, its room changed, and hands its rows to the writer. */
  #store(
    event: VerifiedEvent,
    judgement: Extract<Judgement, { kind: 'stored' }>,
    room: Room | undefined,
    settle: Settle,
    queues: readonly QueueChange[],
  ): void {
    const { known, writer, horizon, callBack } = this.#parts;
    if (room === undefined) throw new Error(`event ${event.pdu.eventId} is stored without a room`);
    const decided = knownEvent(writer.nextSeq(), event, judgement);
    const chain = chainOf(decided, known);
    const given = givenStateOf(event, known);
    known.addPending(decided, chain);
    try {
      room.add(decided);
    } catch (error) {
      known.dropPending(decided);
      if (!(error instanceof ResolutionTooLargeError)) throw error;
      this.#drop(
        event,
        { code: 'RESOLUTION_TOO_LARGE', reason: VERDICT_CODES.RESOLUTION_TOO_LARGE },
        settle,
        queues,
      );
      return;
    }
    const placed = withRoomState(decided, room);
    if (placed !== decided) known.addPending(placed, chain);
    this.counts[judgement.verdict]++;
    const { pdu } = event;
    const verdict = verdictOf(judgement.verdict, judgement.code, judgement.reason, pdu);
    const { rule } = judgement;
    const { seq } = placed;
    writer.submit({
      stored: { known: placed, row: groupEvent(placed, event.bytes, room.number, chain, given) },
      room,
      queues,
      settle: settling({ ...verdict, seq, ...(rule === undefined ? {} : { rule }) }, settle),
    });
    for (const position of horizon.arrived(pdu.eventId)) callBack(pdu.roomId, position);
  }

  /** Answers after everything decided before is on disk, and so is `queues`. */
  #submit(verdict: Verdict, settle: Settle, queues: readonly QueueChange[] = [], after?: () => void): void {
    const settled = settling(verdict, settle);
    this.#parts.writer.submit({
      stored: undefined,
      room: undefined,
      queues,
      settle: (error) => {
        after?.();
        settled(error);
      },
    });
  }
}

function settling(verdict: Verdict, settle: Settle): (error?: unknown) => void {
  return (error) => {
    if (error === undefined) settle.resolve(verdict);
    else settle.reject(error);
  };
}

function verdictOf(verdict: VerdictKind, code: string, reason: string, { eventId, roomId }: Pdu): Verdict {
  return { verdict, code, reason, eventId, roomId, seq: undefined };
}

const MISSING_SHOWN_MAX = 3;

function waitingFor(missing: readonly EventId[]): { readonly code: 'WAITING'; readonly reason: string } {
  const shown = missing.slice(0, MISSING_SHOWN_MAX).join(', ');
  const more = missing.length > MISSING_SHOWN_MAX ? ` and ${missing.length - MISSING_SHOWN_MAX} more` : '';
  return { code: 'WAITING', reason: `waits for ${shown}${more}` };
}
