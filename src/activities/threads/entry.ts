/** What worker threads can be asked to do: each export is a task of one argument that can be cloned. */
export { analyse } from './analyse';
export { checkCitations } from './check-citations';
export { findPassages } from './find-passages';
export { survey } from './survey';
