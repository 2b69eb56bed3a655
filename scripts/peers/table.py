def markdown(results):
    return ""
