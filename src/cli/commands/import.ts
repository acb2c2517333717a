// `stateroom import`: takes events from files into the store.

import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { verifierThreads } from '../../core/verifier.js';
import { examples, globalsOf } from '../context.js';
import { EXIT, fileFault, InterruptedError, UsageError } from '../errors.js';
import { openImportEngine } from '../import/import-engine.js';
import { importFiles, type ImportFile, LateDrops, noticeRooms } from '../import/importer.js';
import { readKeys } from '../import/key-file.js';
import { ResetAlarm } from '../import/reset-alarm.js';
import { RoomVersions } from '../import/room-versions.js';
import type { ImportReport } from '../import/tally.js';
import { answer, colors, counted, printable } from '../output.js';
import { newProgress } from '../progress.js';

interface Options {
  readonly keys?: string;
  readonly verify: boolean;
  readonly roomVersion?: string;
}

/** Below this, starting threads takes longer than verifying in place. */
const THREADED_BYTES_MIN = 256 * 1024;

export function addImport(program: Command): void {
  program
    .command('import')
    .description(
      'Takes events in federation format, one JSON object a line, in any order. Every event is checked as one from another server would be; those whose predecessors are missing wait for them, in this import or a later one.',
    )
    .argument('<file...>', 'files of events; - is stdin')
    .option('--keys <file>', "public keys of the rooms' servers: {server: {key_id: base64}}")
    .option('--no-verify', 'verify no signatures: only for files you trust')
    .option('--room-version <version>', 'version of rooms whose create event is in no file')
    .addHelpText(
      'after',
      examples(
        ['import room.jsonl --keys keys.json', 'check everything'],
        ['import room.jsonl --no-verify', 'a file that you trust'],
        ['import part-2.jsonl part-1.jsonl --keys keys.json', 'the order does not matter'],
        ['import - --keys keys.json < room.jsonl', 'from a pipe'],
      ),
    )
    .addHelpText(
      'after',
      '\nExit code 1 when a line was dropped; rejected and soft-failed events are stored, with their reason.',
    )
    .action(async (paths: readonly string[], options: Options, command: Command) => {
      const globals = globalsOf(command);
      checkOptions(paths, options);
      const started = Date.now();
      const keys = options.keys === undefined ? undefined : await readKeys(options.keys);
      const { files, bytes } = await look(paths);
      const interrupt = new AbortController();
      const release = onInterrupt(() => interrupt.abort());
      try {
        const report = await run(globals.data, files, bytes, new RoomVersions(keys, options.roomVersion), {
          keys,
          signal: interrupt.signal,
        });
        const value =
          report.problems.length === 0 ? report.counts : { ...report.counts, problems: report.problems };
        await answer(globals, value, () => textOf(report, Date.now() - started));
        if (report.isInterrupted)
          throw new InterruptedError('stopped before the end; what is counted here is stored');
        if (report.counts.dropped > 0) process.exitCode = EXIT.no;
      } finally {
        release();
      }
    });
}

function checkOptions(paths: readonly string[], { keys, verify }: Options): void {
  if (keys === undefined && verify) {
    throw new UsageError(
      'say how to check signatures: --keys FILE with the public keys of the servers, or --no-verify for a file you trust',
    );
  }
  if (keys !== undefined && !verify)
    throw new UsageError('--keys and --no-verify contradict each other; give one');
  if (paths.filter((path) => path === '-').length > 1)
    throw new UsageError('stdin (-) can be read once only');
}

/** What the files are, before anything is made. @throws CLI_FILE_UNREADABLE */
async function look(paths: readonly string[]): Promise<{ files: ImportFile[]; bytes: number | undefined }> {
  const files: ImportFile[] = [];
  let bytes: number | undefined = 0;
  for (const path of paths) {
    const found =
      path === '-'
        ? undefined
        : await stat(path).catch((error: unknown) => Promise.reject(fileFault(path, error)));
    if (found?.isDirectory() === true)
      throw fileFault(path, Object.assign(new Error('a folder'), { code: 'EISDIR' }));
    const isRegular = found?.isFile() === true;
    files.push({ path, isRegular });
    bytes = isRegular && bytes !== undefined ? bytes + found.size : undefined;
  }
  return { files, bytes };
}

async function run(
  path: string,
  files: readonly ImportFile[],
  bytes: number | undefined,
  versions: RoomVersions,
  {
    keys,
    signal,
  }: { readonly keys: Awaited<ReturnType<typeof readKeys>> | undefined; readonly signal: AbortSignal },
): Promise<ImportReport> {
  const progress = await newProgress('importing');
  const lateDrops = new LateDrops();
  const alarm = new ResetAlarm();
  const options = {
    lateDrops,
    files,
    versions,
    signal,
    onProgress: (read: number) => progress.update(read, bytes ?? 0),
  };
  await noticeRooms(options);
  const threads = bytes === undefined || bytes >= THREADED_BYTES_MIN ? verifierThreads() : 0;
  const engine = await openImportEngine({
    path,
    keys,
    threads,
    onLateVerdict: (verdict) => lateDrops.take(verdict),
    onStateReset: (record) => alarm.sound(record),
  });
  try {
    return await importFiles(engine, options);
  } finally {
    progress.stop();
    await engine.close();
    alarm.report();
  }
}

/** Calls back on the first SIGINT or SIGTERM; a second one ends the process. */
function onInterrupt(stop: () => void): () => void {
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return () => {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
  };
}

function textOf({ counts, groups, lines }: ImportReport, durationMs: number): string {
  const rate = durationMs === 0 ? lines : Math.round((lines * 1000) / durationMs);
  const verdicts = [
    `${counts.accepted} accepted`,
    `${counts.duplicate} duplicate`,
    `${counts.rejected} rejected`,
    `${counts.soft_failed} soft failed`,
    `${counts.dropped} dropped`,
    `${counts.waiting} waiting`,
  ].join(', ');
  const summary = `${verdicts}\n${colors.dim(`${counted(lines, 'line')} in ${(durationMs / 1000).toFixed(1)} s, ${rate.toLocaleString('en')} a second`)}`;
  if (groups.length === 0) return summary;
  const problems = groups.map(({ code, count, first }) => {
    const place = `${first.file}:${first.line}`;
    const event = first.event_id === null ? '' : ` ${first.event_id}`;
    return `${colors.yellow(code)}: ${counted(count, 'line')}, the first at ${printable(place)}${printable(event)}\n  ${printable(first.reason)}`;
  });
  return `${summary}\n\n${problems.join('\n')}`;
}
