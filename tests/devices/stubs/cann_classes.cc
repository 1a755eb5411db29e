/* Classes of CANN's graph engine whose methods return objects: a function that returns 0 cannot stand in for these.
 *
 * Only the layout matters: the real classes hold one shared pointer, and an operator also has a virtual destructor.
 */
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace ge {
struct TensorDesc {
  std::shared_ptr<void> implementation;
};

struct Operator {
  virtual ~Operator() = default;
  std::string GetName() const;
  std::string GetOpType() const;
  TensorDesc GetOutputDesc(const std::string &) const;
  TensorDesc GetOutputDesc(uint32_t) const;
  std::shared_ptr<void> implementation;
};

struct Graph {
  std::string GetName() const;
};

struct Tensor {
  TensorDesc GetTensorDesc() const;
};

struct OperatorFactory {
  static Operator CreateOperator(const char *, const char *);
  static Operator CreateOperator(const std::string &, const std::string &);
};

struct StatusFactory {
  static StatusFactory *Instance();
  std::map<uint32_t, std::string> descriptions;
};

std::string Operator::GetName() const { return {}; }
std::string Operator::GetOpType() const { return {}; }
TensorDesc Operator::GetOutputDesc(const std::string &) const { return {}; }
TensorDesc Operator::GetOutputDesc(uint32_t) const { return {}; }
std::string Graph::GetName() const { return {}; }
TensorDesc Tensor::GetTensorDesc() const { return {}; }
Operator OperatorFactory::CreateOperator(const char *, const char *) { return {}; }
Operator OperatorFactory::CreateOperator(const std::string &, const std::string &) { return {}; }

StatusFactory *StatusFactory::Instance() {
  static StatusFactory factory;
  return &factory;
}
}  // namespace ge
