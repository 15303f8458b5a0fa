/** The workflows that a cadre's workers register. In your own workflow module, export them beside yours. */
export { task } from './task';
