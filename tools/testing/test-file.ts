// One compiled uvu file, run in a child process and judged by what it said: its summary, its exit, its time.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What came of one test file. A fault of the file itself (no summary, hung, skipped) counts as one failure. */
export interface FileOutcome {
  readonly passed: number;
  readonly failed: number;
  /** What is wrong beyond failing tests, a sentence each. */
  readonly faults: readonly string[];
  /** Standard output and error of the file, as they came. */
  readonly output: string;
  readonly durationMs: number;
}

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly isOverdue: boolean;
}

interface Summary {
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
}

// A runaway test must not fill the memory of its runner; the end of the output says more than its start.
const outputCharsMax = 1_000_000;

const running = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) killGroup(child);
    process.exit(130);
  });
}

/**
 * Runs one compiled test file and judges it.
 *
 * @param script path of the compiled file
 * @param limitMs after this time the file and all it started are killed
 */
export async function runTestFile(script: string, limitMs: number): Promise<FileOutcome> {
  const sourceFaults = faultsInSource(script);
  const started = Date.now();
  let output = '';
  // A process group of its own, so that servers and workers a hung test started end with it.
  const child = spawn(process.execPath, [script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
  });
  running.add(child);
  const collect = (chunk: string): void => {
    output = (output + chunk).slice(-outputCharsMax);
  };
  child.stdout.setEncoding('utf8').on('data', collect);
  child.stderr.setEncoding('utf8').on('data', collect);
  const ending = await endOf(child, limitMs);
  running.delete(child);

  const summary = summaryIn(output);
  const failedTests = summary === undefined ? 0 : summary.total - summary.passed;
  const faults = [...sourceFaults, ...faultsOf(ending, summary, limitMs)];
  return {
    passed: summary?.passed ?? 0,
    failed: failedTests + faults.length,
    faults,
    output,
    durationMs: Date.now() - started,
  };
}

function endOf(child: ChildProcess, limitMs: number): Promise<Ending> {
  return new Promise((resolve, reject) => {
    let isOverdue = false;
    const timer = setTimeout(() => {
      isOverdue = true;
      killGroup(child);
    }, limitMs);
    child.once('error', reject);
    child.once('exit', () => {
      // A grandchild that outlives its test would keep our pipes open.
      killGroup(child);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, isOverdue });
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: the group has ended by itself.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** uvu's own summary, the last one when a test printed something alike. */
function summaryIn(output: string): Summary | undefined {
  const pattern = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm;
  const match = [...output.matchAll(pattern)].at(-1);
  if (match === undefined) return undefined;
  return { total: Number(match[1]), passed: Number(match[2]), skipped: Number(match[3]) };
}

function faultsOf(ending: Ending, summary: Summary | undefined, limitMs: number): string[] {
  if (ending.isOverdue) {
    return [`did not end within ${limitMs / 1000} s and was killed: a test hangs, or a handle was left open`];
  }
  if (ending.signal !== null) return [`was ended by ${ending.signal}`];
  const code = String(ending.code);
  if (summary === undefined)
    return [`ended with code ${code} and without a summary: its suites did not run through`];
  if (summary.total === 0) return ['ran no test'];
  if (summary.skipped > 0) return [`left out ${summary.skipped} tests (.skip or .only)`];
  if (ending.code !== 0 && summary.passed === summary.total)
    return [`ended with code ${code}, though no test failed`];
  return [];
}

/** What uvu cannot say of itself: a suite that is defined and never run, or tests set apart with `.only`. */
function faultsInSource(script: string): string[] {
  let text: string;
  try {
    text = readFileSync(script, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ['was not compiled'];
    throw error;
  }
  const suites = [...text.matchAll(/^const (\w+) = (?:uvu\.)?suite\(/gm)].map((match) => match[1] ?? '');
  return suites.flatMap((name) => [
    ...(text.includes(`${name}.run()`) ? [] : [`suite ${name} is never run: ${name}.run() is missing`]),
    ...(new RegExp(`\\b${name}\\.only\\(`).test(text) ? [`suite ${name} uses .only`] : []),
  ]);
}
