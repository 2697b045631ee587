#include "devices/storage/cd_drive.h"

#include "loop/control_loop.h"

namespace nandu {

void CdDrive::OpenTray(bool force, UniqueFunction<void(bool opened)> done) {
  ControlLoop& control = host_.control();
  cd_->disk().loop().Post([cd = cd_, force, &control, done = std::move(done)]() mutable {
    const bool opened = cd->OpenTray(force);
    control.Post([opened, done = std::move(done)] { done(opened); });
  });
}

void CdDrive::CloseTray(UniqueFunction<void()> done) {
  ControlLoop& control = host_.control();
  cd_->disk().loop().Post([cd = cd_, &control, done = std::move(done)]() mutable {
    cd->CloseTray();
    control.Post(std::move(done));
  });
}

}  // namespace nandu
