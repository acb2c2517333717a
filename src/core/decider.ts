// Decides events in their turn, synchronously, and hands the decisions to the writer.
//
// What a decision makes known is known at once to the next one, before it is on disk; callers are answered
// only after the commit. Those that waited for the event are called back into their room's lane.

import type { EventId, RoomId } from '../event/ids.js';
import type { Pdu } from '../event/pdu.js';
import { type Horizon, HORIZON_QUEUE, type HorizonRow } from '../room/graph/horizon.js';
import { type KnownEvent, type KnownEvents, pduOfRow } from '../room/graph/known-events.js';
import type { Room } from '../room/graph/room.js';
import { ResolutionTooLargeError } from '../room/resolution/errors.js';
import type { QueueChange } from '../store/commit-group.js';
import type { Store } from '../store/store.js';
import type { RecordedEvent } from './completion.js';
import { chainOf, givenStateOf, groupEvent, knownEvent, withRoomState } from './decision.js';
import type { Judge, Judgement, VerifiedEvent } from './judge.js';
import { MISSING_MAX, noVerdicts, VERDICT_CODES, type Verdict, type VerdictKind } from './outcome.js';
import type { Refusal } from './refusal.js';
import type { Writer } from './writer.js';

/** How a caller learns what became of its event. */
export interface Settle<Result = Verdict> {
  readonly resolve: (result: Result) => void;
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
  /** An event whose given state is incomplete is stored: what this writes lands with it. */
  readonly onPartial: (event: VerifiedEvent) => void;
}

export class Decider {
  readonly #parts: DeciderParts;
  /** Rows put aside whose commit is still under way. */
  readonly #unwritten = new Map<number, HorizonRow>();
  /** Final verdicts so far. */
  readonly counts = noVerdicts();
  /** Events that get a place in rooms that have an entry here are added to it, in order. */
  readonly recording = new Map<RoomId, RecordedEvent[]>();

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
    const { known, horizon } = this.#parts;
    const { eventId } = event.pdu;
    const found = known.get(eventId);
    if (found !== undefined && (event.asOutlier || !found.isOutlier)) {
      this.#duplicate(event, found, settle);
      return;
    }
    const position = horizon.positionOf(eventId, event.asOutlier);
    if (position !== undefined && event.givenState === undefined) {
      this.#submit(waitingVerdict(event.pdu, horizon.missingAt(position)), settle);
      return;
    }
    this.#judge(this.#withOutlier(event, found), ...this.#instead(position, settle));
  }

  /**
   * Decides events one after the other in this turn.
   * @param isDone told their verdicts, in the same order, when all that was decided is on disk
   */
  decideAll(events: readonly VerifiedEvent[], isDone: Settle<readonly Verdict[]>): void {
    if (events.length === 0) isDone.resolve([]);
    const verdicts = new Array<Verdict>(events.length);
    let left = events.length;
    events.forEach((event, i) => {
      const resolve = (verdict: Verdict): void => {
        verdicts[i] = verdict;
        if (--left === 0) isDone.resolve(verdicts);
      };
      this.decide(event, { resolve, reject: isDone.reject });
    });
  }

  /**
   * Decides history, none of which has a place, in this turn: the first event goes to where the room's timeline
   * begins, the others after it. The state before an event is given only where an event that it follows has no
   * place.
   * @param events those followed before those that follow
   */
  decideHistory(events: readonly VerifiedEvent[], isDone: Settle<readonly Verdict[]>): void {
    const [first] = events;
    const room = first === undefined ? undefined : this.#parts.judge.roomOf(first.pdu);
    const start = (room?.timelineFirst ?? 0) - events.length;
    this.decideAll(
      events.map((event, i) => ({ ...event, backfilled: true, timelineOrder: start + i })),
      isDone,
    );
  }

  /** Decides an event from outside that is stored when it is accepted, else not at all. Says which. */
  decideWhole(event: VerifiedEvent, settle: Settle): boolean {
    const { known, horizon } = this.#parts;
    const { eventId } = event.pdu;
    const found = known.get(eventId);
    if (found?.isOutlier === false) {
      this.#duplicate(event, found, settle);
      return false;
    }
    const [instead, queues] = this.#instead(horizon.positionOf(eventId, false), settle);
    return this.decideLocal(this.#withOutlier(event, found), instead, queues);
  }

  #duplicate({ pdu }: VerifiedEvent, { seq, verdict }: KnownEvent, settle: Settle): void {
    this.counts.duplicate++;
    const duplicate = verdictOf('duplicate', 'DUPLICATE', VERDICT_CODES.DUPLICATE, pdu);
    this.#submit({ ...duplicate, seq, known: verdict }, settle);
  }

  #withOutlier(event: VerifiedEvent, outlier: KnownEvent | undefined): VerifiedEvent {
    const isPlaced = (id: EventId): boolean => this.#parts.known.get(id)?.isOutlier === false;
    const needsGiven = event.backfilled !== true || !event.pdu.prevEvents.every(isPlaced);
    const givenState = needsGiven ? event.givenState : undefined;
    return { ...event, givenState, ...(outlier === undefined ? {} : { outlier }) };
  }

  /** Takes out what waits at a position, because it came again with more: what becomes of it is told twice. */
  #instead(position: number | undefined, settle: Settle): [Settle, readonly QueueChange[]] {
    if (position === undefined) return [settle, []];
    const resolve = (verdict: Verdict): void => {
      settle.resolve(verdict);
      if (verdict.verdict !== 'waiting') this.#parts.onLateVerdict(verdict);
    };
    return [{ resolve, reject: settle.reject }, [this.#parts.horizon.take(position)]];
  }

  /** Decides an event of this server: it is stored when it is accepted, else not at all. Says which. */
  decideLocal(event: VerifiedEvent, settle: Settle, queues: readonly QueueChange[] = []): boolean {
    const { judgement, room } = this.#parts.judge.judge(event);
    if (judgement.kind === 'stored' && judgement.verdict === 'accepted') {
      this.#store(event, judgement, room, settle, queues);
      return true;
    }
    const { code, reason } = judgement.kind === 'waiting' ? waitingFor(judgement.missing) : judgement;
    const rule = judgement.kind === 'stored' ? judgement.rule : undefined;
    const { eventId, roomId } = event.pdu;
    const refused = this.refuse({ code, reason, eventId, roomId });
    const verdict = rule === undefined ? refused : { ...refused, rule };
    if (queues.length === 0) settle.resolve(verdict);
    else this.#submit(verdict, settle, queues);
    return false;
  }

  /** Decides an event of the horizon that waits for nothing more. */
  decideReady(position: number): void {
    const { horizon, store, known } = this.#parts;
    if (!horizon.holds(position)) return;
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
      ...(row.backfilled === true ? { backfilled: true } : {}),
      ...(row.rewrites === true ? { rewrites: true } : {}),
      ...(row.isPartial === true ? { isPartial: true } : {}),
    };
    const settle: Settle = { resolve: this.#parts.onLateVerdict, reject: () => undefined };
    const found = known.get(row.eventId);
    if (found !== undefined && (event.asOutlier || !found.isOutlier)) {
      this.#submit(verdictOfKnown(found), settle, [taken]);
      return;
    }
    this.#judge(this.#withOutlier(event, found), settle, [taken]);
  }

  #judge(event: VerifiedEvent, settle: Settle, queues: readonly QueueChange[]): void {
    const { judgement, room } = this.#parts.judge.judge(event);
    if (judgement.kind === 'stored') this.#store(event, judgement, room, settle, queues);
    else if (judgement.kind === 'waiting') this.#wait(event, judgement, settle, queues);
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
    { missing, places }: Extract<Judgement, { kind: 'waiting' }>,
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
      ...(places.length === 0 ? {} : { missingPlaces: places }),
      isRedacted: event.isRedacted,
      receivedFrom: event.receivedFrom,
      receivedAt: event.receivedAt,
      asOutlier: event.asOutlier,
      givenState: event.givenState,
      ...(event.backfilled === true ? { backfilled: true } : {}),
      ...(event.rewrites === true ? { rewrites: true } : {}),
      ...(event.isPartial === true ? { isPartial: true } : {}),
      bytes: event.bytes,
    };
    const added = horizon.add(position, row);
    if (added === undefined) {
      this.#drop(event, { code: 'HORIZON_FULL', reason: VERDICT_CODES.HORIZON_FULL }, settle, queues);
      return;
    }
    this.#unwritten.set(position, row);
    this.#submit(waitingVerdict(pdu, missing), settle, [...queues, added], () =>
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
    const { outlier } = event;
    const decided = knownEvent(writer.nextSeq(), event, judgement, room);
    const chain = chainOf(decided, outlier?.verdict, known);
    const given = givenStateOf(event, known);
    known.addPending(decided, chain);
    try {
      room.add(decided, outlier);
    } catch (error) {
      known.dropPending(decided, outlier);
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
      ...(event.signed === undefined ? {} : { signed: event.signed }),
      settle: settling({ ...verdict, seq, ...(rule === undefined ? {} : { rule }) }, settle),
    });
    if (!placed.isOutlier) this.recording.get(pdu.roomId)?.push({ seq, bytes: event.bytes });
    if (placed.isPartial && event.givenState !== undefined) this.#parts.onPartial(event);
    for (const position of horizon.arrived(pdu.eventId, !placed.isOutlier)) callBack(pdu.roomId, position);
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

/** What became of an event earlier, told of its arrival now. */
function verdictOfKnown({ pdu, seq, verdict, code, reason }: KnownEvent): Verdict {
  return { ...verdictOf(verdict, code, reason, pdu), seq };
}

function waitingVerdict(pdu: Pdu, missing: readonly EventId[]): Verdict {
  const { code, reason } = waitingFor(missing);
  return { ...verdictOf('waiting', code, reason, pdu), missing: missing.slice(0, MISSING_MAX) };
}

const MISSING_SHOWN_MAX = 3;

function waitingFor(missing: readonly EventId[]): { readonly code: 'WAITING'; readonly reason: string } {
  const shown = missing.slice(0, MISSING_SHOWN_MAX).join(', ');
  const more = missing.length > MISSING_SHOWN_MAX ? ` and ${missing.length - MISSING_SHOWN_MAX} more` : '';
  return { code: 'WAITING', reason: `waits for ${shown}${more}` };
}
