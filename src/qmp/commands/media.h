// Commands and events of drives whose media change: eject, blockdev-open-tray and its like. Control loop.
#pragma once

namespace nandu {

class MediaFacet;
class QmpRegistry;

void BindMediaCommands(QmpRegistry& registry, MediaFacet& media);

}  // namespace nandu
