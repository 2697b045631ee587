// Pictures as files: PPM (netpbm, P6) and PNG (W3C, PNG Specification, second edition; zlib's deflate). Pure;
// any thread.
//
// zlib is linked statically rather than libpng opened as a module: a PNG of one kind is four chunks around a
// deflate stream, and the images of qcow2 need zlib as well.
#pragma once

#include <cstddef>
#include <vector>

#include <nandu/display.h>

#include "base/result.h"

namespace nandu {

Result<std::vector<std::byte>> EncodePicture(const Picture& picture, PictureFormat format);

}  // namespace nandu
