/** The module that `load` imports, or what to install where it is not there. Throws where it is broken. */
export async function optionalPackage<Module>(
  name: string,
  load: () => Promise<Module>,
): Promise<
  | { readonly kind: 'loaded'; readonly module: Module }
  | { readonly kind: 'skipped'; readonly problem: string; readonly passing: true }
> {
  try {
    return { kind: 'loaded', module: await load() };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code;
    if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return { kind: 'skipped', problem: `is read by the package ${name}: npm install ${name}`, passing: true };
  }
}
