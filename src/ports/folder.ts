/** Files below a folder of this machine, such as a clone. */
export interface Folder {
  /** every file, with the folder's own path in front, sorted; what Git keeps for itself is left out */
  list(): Promise<readonly string[]>
  /** @throws FluxError `PATH_UNREADABLE` */
  read(file: string): Promise<Uint8Array>
  /** Replace a file as a whole, or leave it as it is. @throws FluxError `PATH_UNWRITABLE` */
  write(file: string, text: string): Promise<void>
}
