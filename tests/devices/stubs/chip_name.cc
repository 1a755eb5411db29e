/* Preloaded: MindSpore's simulation leaves the name of the Ascend chip empty, and kernel selection depends on it. */
#include <string>

namespace mindspore {
struct MsContext {
  std::string ascend_soc_version() const;
  std::string ascend_soc_name() const;
};

std::string MsContext::ascend_soc_version() const { return "ascend910b"; }
std::string MsContext::ascend_soc_name() const { return "ascend910b"; }
}  // namespace mindspore
