// Damage, and a display that draws on its own while somebody watches.
#include "devices/display/surface.h"

#include <atomic>
#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>

#include "devices/display/damage.h"

namespace nandu {
namespace {

Picture Black(uint32_t width, uint32_t height) {
  Picture picture;
  picture.Resize(width, height);
  return picture;
}

TEST(Damage, IsTheSmallestRectangleOfWhatDiffers) {
  const Picture before = Black(10, 6);
  EXPECT_TRUE(FindDamage(before, before).empty());
  Picture after = before;
  after.row(2)[3] = 1;
  EXPECT_EQ(FindDamage(before, after), (DisplayRect{3, 2, 1, 1}));
  after.row(4)[8] = 1;
  after.row(3)[1] = 1;
  EXPECT_EQ(FindDamage(before, after), (DisplayRect{1, 2, 8, 3}));
  EXPECT_EQ(FindDamage(before, Black(10, 7)), (DisplayRect{0, 0, 10, 7}));
}

// What is drawn, and what a watcher was told, in turn.
struct Screen {
  std::mutex mutex;
  Picture now = Black(8, 4);
  void Draw(Picture* out) {
    const std::lock_guard lock(mutex);
    *out = now;
  }
  void Put(uint32_t x, uint32_t y, uint32_t colour) {
    const std::lock_guard lock(mutex);
    now.row(y)[x] = colour;
  }
};

class Watcher final : public DisplayWatcher {
 public:
  void OnResize(const Picture& picture) override { Note({0, 0, picture.width, picture.height}); }
  void OnDamage(const Picture& picture, const DisplayRect& damage) override {
    colour = picture.row(damage.y)[damage.x];
    Note(damage);
  }
  // The next thing it was told.
  DisplayRect Take() {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [this] { return taken_ < rects_.size(); });
    return rects_[taken_++];
  }
  std::atomic<uint32_t> colour{0};

 private:
  void Note(const DisplayRect& rect) {
    const std::lock_guard lock(mutex_);
    rects_.push_back(rect);
    told_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable told_;
  std::vector<DisplayRect> rects_;
  size_t taken_ = 0;
};

TEST(Surface, DrawsOnDemandWithoutAThread) {
  Screen screen;
  screen.Put(1, 1, 7);
  DisplaySurface surface("card", [&screen](Picture* out) { screen.Draw(out); });
  Picture picture;
  surface.Draw(&picture);
  EXPECT_EQ(picture, screen.now);
  EXPECT_FALSE(surface.refreshing());
}

TEST(Surface, TellsWatchersOfSizesAndDamage) {
  Screen screen;
  DisplaySurface surface(
      "card", [&screen](Picture* out) { screen.Draw(out); }, 1);
  Watcher first;
  surface.Watch(first);
  EXPECT_TRUE(surface.refreshing());
  EXPECT_EQ(first.Take(), (DisplayRect{0, 0, 8, 4}));
  screen.Put(5, 2, 9);
  EXPECT_EQ(first.Take(), (DisplayRect{5, 2, 1, 1}));
  EXPECT_EQ(first.colour, 9u);
  Watcher second;
  surface.Watch(second);
  EXPECT_EQ(second.Take(), (DisplayRect{0, 0, 8, 4}));
  {
    const std::lock_guard lock(screen.mutex);
    screen.now = Black(3, 3);
  }
  EXPECT_EQ(first.Take(), (DisplayRect{0, 0, 3, 3}));
  EXPECT_EQ(second.Take(), (DisplayRect{0, 0, 3, 3}));
  surface.Unwatch(first);
  screen.Put(0, 0, 4);
  EXPECT_EQ(second.Take(), (DisplayRect{0, 0, 1, 1}));
  surface.Unwatch(second);
  EXPECT_FALSE(surface.refreshing());
  surface.Watch(first);
  EXPECT_EQ(first.Take(), (DisplayRect{0, 0, 3, 3}));
  surface.Unwatch(first);
}

}  // namespace
}  // namespace nandu
