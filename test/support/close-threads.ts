// Runs in every test file: threads that idle would keep Jest's process for seconds.
import { closeThreads } from '../../src/activities/threads';

afterAll(closeThreads);
