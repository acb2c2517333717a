// Fills the gaps of one room, from the edge of what waits towards what is known.
//
//   events that wait ─▶ the edge ─┬▶ get_missing_events: their predecessors, a few rounds back
//                                 ├▶ state before the edge, given by another server: the event takes its place
//                                 └▶ auth events that they cite
//
// An event of which some predecessors are known and some are not is given the missing ones, each on its own
// state, so that its state is resolved here and not taken from a stranger; one of which nothing is known is given
// its state. Each step must bring something; when none does, or what it may cost is spent, it ends.
//
// Source: server-server API, "Backfilling and retrieving missing events"; Dendrite's room input.

import type { Verdict } from '../../core/outcome.js';
import type { EventId, ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RemoteServers } from '../requests.js';
import { type EdgeParts, fetchCited, stateBefore } from './edge-state.js';
import type { Effort } from './effort.js';
import { bytesOf, connected, ranks, readEvent, readEvents } from './fetched-events.js';
import type { EdgeEvent, WaitingEvents } from './waiting-events.js';

export interface FillerParts extends EdgeParts {
  readonly remote: EdgeParts['remote'] & Pick<RemoteServers, 'missingEvents'>;
  readonly now: () => number;
}

/** Events at the edge that are worked on in one step. */
const EDGE_MAX = 10;
/** Forward extremities that are named in a question. */
const EARLIEST_MAX = 20;
/** Fillings in which a server that failed is waited for. */
const PATIENT_TRIES = 2;
/** Steps in which something moved, at most: a stop for what nobody thought of. */
const STEPS_MAX = 500;

export class Filler {
  readonly #parts: FillerParts;
  readonly #effort: Effort;
  readonly #waiting: WaitingEvents;
  /** Rounds of going further back that are left. */
  #rounds: number;
  /** Events at the edge for which nothing helped. */
  readonly #stuck = new Set<EventId>();
  /** Predecessors that were fetched for a mixed event: these are given their state. */
  readonly #fetchedPrevs = new Set<EventId>();

  constructor(parts: FillerParts, effort: Effort, waiting: WaitingEvents) {
    this.#parts = parts;
    this.#effort = effort;
    this.#waiting = waiting;
    this.#rounds = parts.options.missingRoundsMax;
  }

  /** @returns the events at the edge for which nothing helped */
  async fill(): Promise<ReadonlySet<EventId>> {
    for (let step = 0; step < STEPS_MAX && !this.#effort.isSpent; step++) {
      this.#waiting.prune();
      const edge = this.#waiting.edge(this.#parts.now(), EDGE_MAX, (id) => this.#stuck.has(id));
      if (edge.length === 0) break;
      await this.#step(edge);
    }
    return this.#stuck;
  }

  async #step(edge: readonly EdgeEvent[]): Promise<void> {
    const behind = edge.filter(({ missingPrevs, isHistory }) => missingPrevs.length > 0 && !isHistory);
    if (behind.length > 0 && this.#rounds > 0) {
      this.#rounds--;
      if (await this.#goBack(behind)) return;
      // Who gives nothing now gives nothing a moment later.
      this.#rounds = 0;
    }
    for (const event of edge) {
      if (this.#effort.isSpent) return;
      const hasHelped = await this.#help(event);
      if (!hasHelped) this.#stuck.add(event.pdu.eventId);
    }
  }

  /** Asks for what comes before the edge. @returns whether anything came that was missing */
  async #goBack(edge: readonly EdgeEvent[]): Promise<boolean> {
    const { remote, engine, options } = this.#parts;
    const [first] = edge;
    const { roomId } = this.#effort;
    const rules = engine.graph.rulesOf(roomId);
    if (first === undefined || rules === undefined) return false;
    const question = {
      earliest: engine.forwardExtremities(roomId).slice(0, EARLIEST_MAX),
      latest: edge.map(({ pdu }) => pdu.eventId),
      limit: options.missingEventsMax,
    };
    const wanted = new Set(edge.flatMap(({ missingPrevs }) => missingPrevs));
    const came = await this.#effort.inTurn(this.#servers(edge), async (server, limits) => {
      const jsons = await remote.missingEvents(server, roomId, question, limits);
      const events = connected(await readEvents(jsons, roomId, rules), wanted);
      return events.size > 0 && (await this.#receiveAll(events, server)) ? true : undefined;
    });
    return came ?? false;
  }

  async #help(event: EdgeEvent): Promise<boolean> {
    const { pdu, missingPrevs, missingAuth } = event;
    const servers = this.#servers([event]);
    if (missingAuth.length > 0 && !(await fetchCited(this.#parts, this.#effort, pdu, servers))) return false;
    if (missingPrevs.length === 0) return true;
    if (this.#isWorthWaiting(event)) return false;
    if (event.isMixed && !event.isHistory && !this.#fetchedPrevs.has(pdu.eventId)) {
      return this.#fetchPrevs(event, servers);
    }
    const state = await stateBefore(this.#parts, this.#effort, pdu, servers);
    if (state === undefined) return false;
    const { engine } = this.#parts;
    const verdict = await engine.receive(event.bytes, {
      from: event.from,
      roomVersion: pdu.rules.version,
      givenState: state.ids,
      backfilled: event.isHistory,
    });
    return verdict.verdict !== 'waiting';
  }

  /**
   * A given state bridges a gap and leaves its events out. Whoever has them for sure may answer soon: not at the
   * first trouble, then.
   */
  #isWorthWaiting({ from, senderServer, tries }: EdgeEvent): boolean {
    if (tries >= PATIENT_TRIES || this.#parts.options.missingRoundsMax === 0) return false;
    return this.#effort.hasFailed(from) || this.#effort.hasFailed(senderServer);
  }

  /** Fetches the missing predecessors of an event, each to be placed on its own state. */
  async #fetchPrevs({ pdu, missingPrevs }: EdgeEvent, servers: readonly ServerName[]): Promise<boolean> {
    const { remote } = this.#parts;
    const { roomId, rules } = pdu;
    let came = 0;
    for (const id of missingPrevs) {
      const got = await this.#effort.inTurn(servers, async (server, limits) => {
        const event = readEvent(await remote.event(server, id, limits), rules);
        if (event?.eventId !== id || event.roomId !== roomId) return undefined;
        this.#fetchedPrevs.add(id);
        return (await this.#receiveAll(new Map([[id, event]]), server)) ? true : undefined;
      });
      if (got === true) came++;
    }
    return came > 0;
  }

  /** Hands events over, oldest first. @returns whether any was taken */
  async #receiveAll(given: ReadonlyMap<EventId, Pdu>, from: ServerName): Promise<boolean> {
    const { engine, keyRing, log, isGivenUp } = this.#parts;
    const events = new Map([...given].filter(([id]) => !isGivenUp(id)));
    const [first] = events.values();
    if (first === undefined) return false;
    await keyRing.fetchFor(
      Array.from(events.values(), ({ json }) => json),
      first.rules,
    );
    const inOrder = ranks(
      events,
      ({ prevEvents }) => prevEvents,
      (id) => !events.has(id),
    ).flat();
    const granted = inOrder.slice(0, this.#effort.takeEvents(inOrder.length));
    const verdicts = await Promise.all(granted.map((event) => engine.receive(bytesOf(event), { from })));
    for (const { verdict, eventId, code, reason } of verdicts) {
      if (verdict === 'waiting' && eventId !== undefined) this.#waiting.add(eventId, from, this.#parts.now());
      if (verdict !== 'dropped') continue;
      log.info(
        { room: this.#effort.roomId, event: eventId, from, code, reason },
        'an event of a gap was refused',
      );
    }
    return verdicts.some(isTaken);
  }

  /** Who gave the events first, then whose users sent them, then others of the room. */
  #servers(edge: readonly EdgeEvent[]): ServerName[] {
    return this.#effort.servers([
      ...edge.map(({ from }) => from),
      ...edge.map(({ senderServer }) => senderServer),
    ]);
  }
}

/** A duplicate brings nothing: it was known, or waits already. */
function isTaken({ verdict }: Verdict): boolean {
  return verdict !== 'dropped' && verdict !== 'duplicate';
}
