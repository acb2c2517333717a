// Takes files of events into an engine: many at once, in bounded memory, every line accounted for.

import { basename } from 'node:path';
import type { Verdict, VerdictCounts } from '../../core/outcome.js';
import type { Engine } from '../../engine/engine.js';
import type { EventId } from '../../event/ids.js';
import { type Line, openLines } from './lines.js';
import type { RoomVersions } from './room-versions.js';
import { type ImportReport, type Place, Tally } from './tally.js';

/** A file to take. */
export interface ImportFile {
  /** Path, or `-` for stdin. */
  readonly path: string;
  /** Can it be read twice? A pipe cannot. */
  readonly isRegular: boolean;
}

export interface ImportOptions {
  readonly files: readonly ImportFile[];
  readonly versions: RoomVersions;
  /** Why events that waited were dropped in the end, as the engine tells it. */
  readonly lateDrops?: LateDrops;
  /** Called with the bytes read so far. */
  readonly onProgress?: (bytes: number) => void;
  /** Stops the reading; what is under way is finished. */
  readonly signal?: AbortSignal;
}

/** Longest line that is read at all: far more than any event may have. */
const LINE_BYTES_MAX = 1024 * 1024;
/** Events and bytes between reading and verdict, at most. */
const IN_FLIGHT_MAX = 4_096;
const IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024;
const FROM_CHARS_MAX = 128;
const LATE_DROPS_MAX = 1_000;

/** Looks through the files that can be read twice for create events. @throws CLI_FILE_UNREADABLE */
export async function noticeRooms({ files, versions, signal }: ImportOptions): Promise<void> {
  const options = { lineBytesMax: LINE_BYTES_MAX, ...(signal === undefined ? {} : { signal }) };
  for (const { path, isRegular } of files) {
    if (!isRegular) continue;
    for await (const lines of openLines(path, options)) {
      for (const { bytes } of lines) if (bytes !== undefined) versions.notice(bytes);
    }
  }
}

/**
 * Takes every line of the files, and says what became of them once all that can be decided is.
 * @throws CLI_FILE_UNREADABLE, STORE_WRITE_FAILED; what was acknowledged before stays
 */
export async function importFiles(engine: Engine, options: ImportOptions): Promise<ImportReport> {
  return new Importer(engine, options).run();
}

/** Remembers why events that waited were dropped: the first of them. */
export class LateDrops {
  readonly #drops = new Map<EventId, Verdict>();

  /** Takes what an engine says of an event that waited. */
  take(verdict: Verdict): void {
    const { eventId } = verdict;
    if (verdict.verdict !== 'dropped' || eventId === undefined) return;
    if (this.#drops.size < LATE_DROPS_MAX) this.#drops.set(eventId, verdict);
  }

  get(eventId: EventId): Verdict | undefined {
    return this.#drops.get(eventId);
  }
}

class Importer {
  readonly #engine: Engine;
  readonly #options: ImportOptions;
  readonly #tally = new Tally();
  #inFlight = 0;
  #inFlightBytes = 0;
  #bytesRead = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(engine: Engine, options: ImportOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  async run(): Promise<ImportReport> {
    try {
      for (const [fileIndex, file] of this.#options.files.entries()) await this.#take(file, fileIndex);
    } finally {
      await this.#until(() => this.#inFlight === 0);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#engine.core.idle();
    this.#settleWaiting();
    const counts: VerdictCounts = this.#engine.verdicts();
    return this.#tally.report(counts, this.#options.signal?.aborted === true);
  }

  async #take({ path, isRegular }: ImportFile, fileIndex: number): Promise<void> {
    const { signal, versions, onProgress } = this.#options;
    const name = path === '-' ? 'stdin' : path;
    const from = basename(name).slice(0, FROM_CHARS_MAX);
    const onRead = (bytes: number): void => {
      this.#bytesRead += bytes;
      onProgress?.(this.#bytesRead);
    };
    const options = { lineBytesMax: LINE_BYTES_MAX, onRead, ...(signal === undefined ? {} : { signal }) };
    for await (const lines of openLines(path, options)) {
      for (const line of lines) {
        await this.#until(() => this.#inFlight < IN_FLIGHT_MAX && this.#inFlightBytes < IN_FLIGHT_BYTES_MAX);
        if (signal?.aborted === true || this.#failure !== undefined) return;
        // What can be read once only was not looked through before.
        if (!isRegular && line.bytes !== undefined) versions.notice(line.bytes);
        this.#receive({ fileIndex, file: name, line: line.number }, line, from);
      }
    }
  }

  #receive(place: Place, { bytes, isUnended }: Line, from: string): void {
    this.#tally.lines++;
    if (bytes === undefined) {
      this.#tally.refuse(place, 'EVENT_TOO_LARGE', `the line is longer than ${LINE_BYTES_MAX} bytes`);
      return;
    }
    this.#inFlight++;
    this.#inFlightBytes += bytes.length;
    void this.#judge(place, bytes, isUnended, from).finally(() => {
      this.#inFlight--;
      this.#inFlightBytes -= bytes.length;
      this.#wake();
    });
  }

  /** One event to its verdict; never rejects: what fails ends the import. */
  async #judge(place: Place, bytes: Uint8Array, isUnended: boolean, from: string): Promise<void> {
    const roomVersion = this.#options.versions.versionFor(bytes);
    try {
      const verdict = await this.#engine.receive(bytes, {
        from,
        ...(roomVersion === undefined ? {} : { roomVersion }),
      });
      const isCutOff = isUnended && verdict.code === 'EVENT_BAD_JSON';
      const reason = isCutOff ? 'the file ends in the middle of this event: it is cut off' : verdict.reason;
      this.#tally.take(place, { ...verdict, reason });
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Resolves when the condition holds; it is looked at again whenever a verdict came. */
  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #noteDrop(place: Place, eventId: EventId): void {
    const drop = this.#options.lateDrops?.get(eventId);
    const reason = drop?.reason ?? 'it was dropped when what it waited for had arrived';
    this.#tally.note(place, drop?.code ?? 'DROPPED', reason, eventId);
  }

  /** What became of the lines that were told to wait. */
  #settleWaiting(): void {
    const { horizon, known } = this.#engine.core;
    for (const { place, verdict } of this.#tally.waiting) {
      const eventId = verdict.eventId as EventId;
      const event = known.get(eventId);
      if (event?.verdict === 'accepted') continue;
      if (event !== undefined) this.#tally.note(place, event.code, event.reason, eventId);
      else if (horizon.has(eventId)) this.#tally.note(place, verdict.code, verdict.reason, eventId);
      else this.#noteDrop(place, eventId);
    }
  }
}
