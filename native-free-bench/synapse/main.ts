// `npm run bench:synapse`: stateroom beside a real Synapse, on the same rooms and in one run.
//
// Both are processes on this machine with their default embedded databases. A third, scripted server brings a
// large room to both, and sends to both; clients of this process do the rest. Prints a table of ratios.

import { rm, mkdtemp } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { synapsePython, SYNAPSE_VERSION } from '../../tools/peers/install-synapse.js';
import { describeMachine } from '../machine.js';
import { median } from '../measure.js';
import { type Findings, grouped, type Report, shown, type Target, type Unit } from '../report/report.js';
import { renderTable } from '../report/table.js';
import { advantage, type Extent, inboundRates, largeRoom, type Samples, sendingRates } from './measures.js';
import { startSides } from './sides.js';

const HELP = `npm run bench:synapse -- [options]

  --quick   a small room and few rounds: to see that it runs
  --json    print the report as JSON and nothing else on stdout
  --help    this text

Synapse is installed once, as for the tests beside it; STATEROOM_SYNAPSE names a Python that has it already.
`;

const FULL: Extent = {
  members: 5_000,
  rounds: 3,
  senders: 10,
  sendMs: 3_000,
  transactions: 1,
  stateTransactions: 4,
  oldEvents: 9,
};
const QUICK: Extent = {
  members: 300,
  rounds: 1,
  senders: 4,
  sendMs: 500,
  transactions: 1,
  stateTransactions: 1,
  oldEvents: 2,
};

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const startedAt = new Date().toISOString();
  const start = performance.now();
  const findings = await compare(values.quick ? QUICK : FULL, (text) => console.error(text));
  const report: Report = {
    ...findings,
    machine: describeMachine(),
    store: 'classic-level',
    isQuick: values.quick,
    startedAt,
    seconds: (performance.now() - start) / 1e3,
  };
  console.log(values.json ? JSON.stringify(report, null, 1) : renderTable(report));
  return 0;
}

async function compare(extent: Extent, say: (text: string) => void): Promise<Findings> {
  const python = synapsePython();
  const folder = await mkdtemp(join(tmpdir(), 'stateroom-synapse-bench-'));
  try {
    say('starting both servers');
    const sides = await startSides(python, folder);
    try {
      say('sending messages');
      const sending = await sendingRates(sides, extent);
      say('receiving transactions');
      const inbound = await inboundRates(sides, extent);
      say(`joining a room of ${grouped(extent.members)} members`);
      const large = await largeRoom(sides, extent, say);
      const of = `of a room of ${grouped(extent.members)}`;
      return {
        series: [],
        targets: [
          row('messages sent a second', 5, sending, 'per_second'),
          row('events a second, /send of 50', 5, inbound, 'per_second'),
          row(`state_ids at old events ${of}`, 10, inMicroseconds(large.stateIdsMs), 'us'),
          row(`state at old events ${of}`, 10, inMicroseconds(large.stateMs), 'us'),
          row(`initial /sync ${of}`, 3, inMicroseconds(large.syncMs), 'us'),
          row(`bytes on disk a state event ${of}`, 10, large.bytesOfStateEvent, 'bytes'),
          row(`full join ${of}`, 0, inMicroseconds(large.joinSeconds, 1e6), 'us'),
        ],
        remarks: [
          `Beside Synapse ${SYNAPSE_VERSION} with SQLite; each figure is how many times better stateroom is, by ` +
            'the medians. The two take turns.',
          `Load of the machine at the end: ${loadavg()
            .map((load) => load.toFixed(1))
            .join(', ')}.`,
        ],
      };
    } catch (error) {
      say(`ours: ${sides.ours.log().slice(-3_000)}\nSynapse: ${sides.theirs.log().slice(-3_000)}`);
      throw error;
    } finally {
      await sides.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function inMicroseconds({ ours, theirs }: Samples, factor = 1e3): Samples {
  const scaled = (value: number): number => value * factor;
  return { ours: ours.map(scaled), theirs: theirs.map(scaled) };
}

function row(name: string, limit: number, samples: Samples, unit: Unit): Target {
  return {
    name,
    unit: 'ratio',
    bound: limit === 0 ? 'none' : 'at least',
    limit,
    reached: advantage(samples, unit === 'per_second'),
    remark: `${shown(median(samples.ours), unit)} against ${shown(median(samples.theirs), unit)}`,
  };
}
