// `npm run bench`: the benchmarks, with no native addon in the process.
//
// Prints tables, and writes JSON, Markdown and an SVG of the curves into native-free-bench/results/. In memory
// unless `--store classic-level` asks for the store that stateroom has by default, which is an addon itself.

import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BenchContext } from './context.js';
import { measureImport } from './import-rate.js';
import { measureJoin } from './joining.js';
import { describeMachine, refusesAddons } from './machine.js';
import { renderMarkdown } from './report/markdown.js';
import { type Findings, isReached, type Report } from './report/report.js';
import { renderSvg } from './report/svg.js';
import { renderTable } from './report/table.js';
import { measureResolution } from './resolution.js';
import { measureScaling } from './scaling.js';
import type { StoreKind } from './stores.js';
import { measureTargets } from './targets.js';

const HELP = `node --no-addons dist/native-free-bench/main.js [options]
node dist/native-free-bench/main.js --store classic-level [options]

  --quick        small rooms and few rounds, under 20 seconds
  --members N    no room of more members than this (at least 1,000)
  --only NAME    one section: scaling, targets, resolution; with classic-level also import, join,
                 homeserver, federation
  --store KIND   memory (default), or classic-level in temporary folders
  --out DIR      where results are written (default native-free-bench/results)
  --json         print the report as JSON and nothing else on stdout
  --help         this text
`;

const SECTIONS: Readonly<Record<string, (context: BenchContext) => Promise<Findings>>> = {
  scaling: measureScaling,
  targets: measureTargets,
  resolution: measureResolution,
  import: measureImport,
  join: measureJoin,
  // Loaded when they run: what serves needs native parts, and their store is one.
  homeserver: async (context) => (await import('./homeserver/homeserver.js')).measureHomeserver(context),
  federation: async (context) => (await import('./federation/federation.js')).measureFederation(context),
};
/** Ratios are taken against rooms of so many. */
const MEMBERS_LEAST = 1_000;
/** The sections that need the store on disk. */
const ON_DISK: ReadonlySet<string> = new Set(['import', 'join', 'homeserver', 'federation']);
const RESULTS = fileURLToPath(new URL('../../native-free-bench/results', import.meta.url));

/** What was asked for. */
interface Request {
  readonly sections: readonly string[];
  readonly store: StoreKind;
  readonly isQuick: boolean;
  readonly membersMax: number;
  readonly asJson: boolean;
  readonly out: string;
}

process.exitCode = await main(process.argv.slice(2));

/** Exit code: 0 when it ran, whatever was reached; 2 for wrong usage. */
async function main(args: string[]): Promise<number> {
  let request: Request | undefined;
  try {
    request = readArguments(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (request === undefined) {
    console.log(HELP);
    return 0;
  }
  const report = await run(request);
  await write(report, request.out);
  if (request.asJson) {
    console.log(JSON.stringify(report, null, 1));
    return 0;
  }
  const judged = report.targets.map(isReached).filter((reached) => reached !== undefined);
  console.log(renderTable(report));
  console.log(
    `${judged.filter(Boolean).length} of ${judged.length} targets reached; results in ${request.out}`,
  );
  return 0;
}

/** Undefined when help was asked for. @throws Error with a sentence on what is wrong */
function readArguments(args: string[]): Request | undefined {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      members: { type: 'string', default: '1000000' },
      store: { type: 'string', default: 'memory' },
      out: { type: 'string', default: RESULTS },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { only, store } = values;
  if (store !== 'memory' && store !== 'classic-level') throw new Error(`there is no store ${store}`);
  if (only !== undefined && !Object.hasOwn(SECTIONS, only)) throw new Error(`there is no section ${only}`);
  if (store === 'classic-level' && refusesAddons()) {
    throw new Error(
      'classic-level is a native addon: run it without --no-addons, as in `npm run bench:store`',
    );
  }
  if (only !== undefined && ON_DISK.has(only) && store === 'memory') {
    throw new Error(`the section ${only} is about the store on disk: add --store classic-level`);
  }
  const membersMax = Number(values.members);
  if (!(membersMax >= MEMBERS_LEAST)) throw new Error(`--members takes a number from ${MEMBERS_LEAST}`);
  const all = Object.keys(SECTIONS).filter((name) => store === 'classic-level' || !ON_DISK.has(name));
  return {
    sections: only === undefined ? all : [only],
    store,
    isQuick: values.quick,
    membersMax,
    asJson: values.json,
    out: values.out,
  };
}

async function run({ sections, store, isQuick, membersMax }: Request): Promise<Report> {
  const startedAt = new Date().toISOString();
  const start = performance.now();
  const context = new BenchContext(store, isQuick, membersMax, (text) => console.error(text));
  const findings: Findings[] = [];
  for (const name of sections) {
    const section = SECTIONS[name];
    if (section !== undefined) findings.push(await section(context));
  }
  await context.close();
  return {
    machine: describeMachine(),
    store,
    isQuick,
    startedAt,
    seconds: (performance.now() - start) / 1e3,
    series: findings.flatMap(({ series }) => series),
    targets: findings.flatMap(({ targets }) => targets),
    remarks: findings.flatMap(({ remarks }) => remarks),
  };
}

/** Each store's results under its own name, so that one does not replace the other's. */
async function write(report: Report, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const picture = `${report.store}.svg`;
  await writeFile(`${folder}/${report.store}.json`, `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(`${folder}/${report.store}.md`, renderMarkdown(report, picture));
  if (report.series.length > 0) await writeFile(`${folder}/${picture}`, renderSvg(report));
}
