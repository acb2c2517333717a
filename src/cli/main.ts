#!/usr/bin/env node
// The command `stateroom`.

import { exitCodeOf, reportError } from './errors.js';
import { commandIn, makeProgram, runProgram } from './program.js';

// Whoever reads our output may have seen enough (`| head`): that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') reportError(error);
  process.exit(error.code === 'EPIPE' ? 0 : exitCodeOf(error));
});

try {
  const args = process.argv.slice(2);
  const name = commandIn(args);
  const program = await makeProgram(name);
  const exitCode = await runProgram(program, args);
  if (exitCode !== undefined) process.exitCode = exitCode;
} catch (error) {
  reportError(error);
  process.exitCode = exitCodeOf(error);
}
