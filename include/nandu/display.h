// A screen as whoever shows it sees it: screendump now, remote displays later. A display draws from its
// device's registers and memory when it is asked to, and at a refresh rate only while somebody watches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace nandu {

// A picture, top row first. Pixels are xRGB: 0x00RRGGBB in host order.
struct Picture {
  uint32_t width = 0;   // pixels
  uint32_t height = 0;  // rows
  uint32_t stride = 0;  // pixels from the start of a row to that of the next
  std::vector<uint32_t> pixels;

  void Resize(uint32_t new_width, uint32_t new_height) {
    width = new_width;
    height = new_height;
    stride = new_width;
    pixels.assign(size_t{new_width} * new_height, 0);
  }
  uint32_t* row(uint32_t y) { return pixels.data() + size_t{y} * stride; }
  const uint32_t* row(uint32_t y) const { return pixels.data() + size_t{y} * stride; }
  bool operator==(const Picture&) const = default;
};

enum class PictureFormat : uint8_t { kPpm, kPng };

struct DisplayRect {
  uint32_t x = 0;
  uint32_t y = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  bool empty() const { return width == 0 || height == 0; }
  bool operator==(const DisplayRect&) const = default;
};

// Told what changed, on the display's own thread, which waits for the answer before it draws again. The
// picture is the display's: what is needed longer is copied. A watcher does not stop watching from within.
class DisplayWatcher {
 public:
  DisplayWatcher() = default;
  DisplayWatcher(const DisplayWatcher&) = delete;
  DisplayWatcher& operator=(const DisplayWatcher&) = delete;
  virtual ~DisplayWatcher() = default;

  // The picture has another size than the last one, or is the watcher's first; all of it is new.
  virtual void OnResize(const Picture& picture) = 0;
  // The same size; what lies outside `damage` is as it was. Never empty.
  virtual void OnDamage(const Picture& picture, const DisplayRect& damage) = 0;
};

class Display {
 public:
  Display() = default;
  Display(const Display&) = delete;
  Display& operator=(const Display&) = delete;
  virtual ~Display() = default;

  virtual std::string_view device_id() const = 0;  // the device's, made up or not; never changes
  // What the screen shows now. Reads memory that the guest writes: any thread but the control loop's. Costs
  // as much as the picture is large, and holds no vCPU up for longer than it takes to copy 256 KiB.
  virtual void Draw(Picture* out) = 0;
  // Any thread. The first watcher starts the display's thread, the last one that goes ends it; after Unwatch
  // no call is running.
  virtual void Watch(DisplayWatcher& watcher) = 0;
  virtual void Unwatch(DisplayWatcher& watcher) = 0;
};

}  // namespace nandu
