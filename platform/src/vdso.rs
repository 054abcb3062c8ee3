//! The guest's vDSO: an ELF image that answers clock calls from the vvar page, which lies in the page before it.

/// The image, to be mapped (readable, executable) right behind the vvar page.
pub fn image() -> &'static [u8] {
    todo!()
}
