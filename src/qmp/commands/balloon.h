// The memory balloon's commands and event. Control loop.
#pragma once

namespace nandu {

class BalloonFacet;
class QmpRegistry;

void BindBalloonCommands(QmpRegistry& registry, BalloonFacet& balloon);  // the facet outlives the registry

}  // namespace nandu
